"""Waiting for a run of the service: through what passes, and not beyond."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from model_training.workspaces.base import Event
from scoring.errors import CvaError, OfflineError, UnavailableError, UsageError
from tests.workspaces.azureml.automl_parts import automl_run, automl_runs, train
from tests.workspaces.azureml.azure_parts import instantly, opened
from tests.workspaces.azureml.memory import Cloud, MemoryService
from tests.workspaces.azureml.memory_runs import Script, ScriptedTrial


def unreachable(service: MemoryService, times: int, error: CvaError) -> None:
    """That many of the looks at the run fail."""
    left = [times]

    def network(call: str) -> None:
        if call == "children" and left[0]:
            left[0] -= 1
            raise error

    service.network = network


@pytest.mark.parametrize("error", [OfflineError("no route"), UnavailableError("too many requests", retry_after=30)])
def test_an_hour_without_the_service_is_survived(cloud: Cloud, run_id: str, tmp_path: Path, error: CvaError) -> None:
    workspace, service = opened(cloud, tmp_path / "step")
    unreachable(service, 20, error)
    said: list[Event] = []
    assert train(workspace, run_id, said.append).best.number == 1
    assert [event.kind for event in said].count("warning") == 1


def test_many_short_outages_are_not_a_long_one(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    cloud.script = Script([ScriptedTrial({"mean_average_precision": [0.5] * 40})])
    workspace, service = opened(cloud, tmp_path / "step", patience=instantly(offline=60.0))
    looks = itertools.count()

    def network(call: str) -> None:
        if call == "children" and next(looks) % 4 == 0:
            raise OfflineError("no route")

    service.network = network
    assert train(workspace, run_id).best.epochs == 40


def test_a_service_that_stays_away_ends_the_waiting_but_not_the_run(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    cloud.script = replace(cloud.script, hangs=True)
    workspace, service = opened(cloud, tmp_path / "step", patience=instantly(offline=600.0))
    unreachable(service, 10**6, OfflineError("no route"))
    with pytest.raises(OfflineError, match="no route"):
        train(workspace, run_id)
    assert automl_run(cloud) == "Running"  # it goes on; a step that runs again finds it


def test_a_wait_that_cannot_go_on_takes_its_gpu_run_with_it(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    """A right that was taken away stays away: nobody would wait for the run any more, and it costs by the hour."""
    cloud.script = replace(cloud.script, hangs=True)
    workspace, service = opened(cloud, tmp_path / "step")
    unreachable(service, 10**6, UsageError("this login may not do that (403)"))
    with pytest.raises(UsageError, match="403"):
        train(workspace, run_id)
    assert automl_run(cloud) == "Canceled"


def test_a_run_that_cannot_be_cancelled_is_named_and_what_went_wrong_is_said(
    cloud: Cloud, run_id: str, tmp_path: Path
) -> None:
    cloud.script = replace(cloud.script, hangs=True)
    workspace, service = opened(cloud, tmp_path / "step")

    def network(call: str) -> None:
        if call in ("children", "cancel_run"):
            raise UsageError(f"{call}: Azure refuses this login")

    service.network = network
    said: list[Event] = []
    with pytest.raises(UsageError, match="children: Azure refuses"):
        train(workspace, run_id, said.append)
    (found,) = automl_runs(cloud)
    assert any(found.id in event.text and "cancel it in the studio" in event.text for event in said)
