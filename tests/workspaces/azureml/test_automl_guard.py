"""While an AutoML run is followed: its pipeline may be cancelled, its node may not come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model_training.workspaces.base import Event
from scoring.errors import (
    CancelledError,
)
from tests.workspaces.azureml.automl_parts import COURSE, automl_run, job_of, train
from tests.workspaces.azureml.azure_parts import instantly, opened
from tests.workspaces.azureml.memory import Cloud
from tests.workspaces.azureml.memory_runs import Script, ScriptedTrial


@pytest.mark.parametrize("status", ["CancelRequested", "Canceled"])
def test_a_pipeline_that_is_cancelled_in_the_studio_ends_the_automl_run(
    cloud: Cloud, run_id: str, tmp_path: Path, status: str
) -> None:
    """No signal reaches the step."""
    cloud.script = replace(cloud.script, hangs=True)
    cloud.runs.start("pipeline-1", "caps", "Running", {})
    cloud.runs.change(run_id, parent="pipeline-1")
    workspace, service = opened(cloud, tmp_path / "step")

    def bounded(call: str) -> None:
        assert len(service.calls) < 1000, "it is followed for ever"

    def person(event: Event) -> None:
        if event.kind == "epoch":
            cloud.runs.change("pipeline-1", status=status)

    service.network = bounded

    with pytest.raises(CancelledError, match="pipeline-1 was cancelled"):
        train(workspace, run_id, person)
    assert automl_run(cloud) == "Canceled"


def test_a_look_asks_the_pipelines_run_once(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    cloud.runs.start("pipeline-1", "caps", "Running", {})
    cloud.runs.change(run_id, parent="pipeline-1")
    workspace, service = opened(cloud, tmp_path / "step")
    folder, job = workspace.runs.get(run_id).folder / "sweep", job_of(workspace)
    service.calls.clear()
    workspace.automl.run(job, "gpu-cluster", folder=folder)
    # four looks: both runs at each but the last; before them, is its name free, and whose step is this
    assert service.calls.count("run") == 4 + 3 + 2


@pytest.mark.parametrize(("trials", "warned"), [([], 1), ([ScriptedTrial(COURSE)], 0)])
def test_waiting_long_for_a_gpu_node_is_said_once(
    cloud: Cloud, run_id: str, tmp_path: Path, trials: list[ScriptedTrial], warned: int
) -> None:
    cloud.script = Script(trials, None, hangs=True)
    patience = instantly()
    workspace, service = opened(cloud, tmp_path / "step", patience=patience)
    began = patience.clock()

    def two_hours(call: str) -> None:
        if call == "children" and patience.clock() - began > 7200:
            service.network = lambda call: None
            raise CancelledError("enough")

    service.network = two_hours
    said: list[Event] = []
    with pytest.raises(CancelledError, match="enough"):
        train(workspace, run_id, said.append)
    told = [event.text for event in said if event.kind == "warning"]
    assert len(told) == warned
    assert all("gpu-cluster" in text and "ml.azure.com/quota" in text for text in told)
