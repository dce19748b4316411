"""An AutoML run is submitted once, whatever happens to its step, and cancelled with it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from model_training.workspaces.azureml.following import Patience
from model_training.workspaces.azureml.service import STARTED_TAG
from model_training.workspaces.azureml.submission import STOPPED_TAG
from model_training.workspaces.base import Event
from scoring.errors import CancelledError, NotFoundError
from tests.contracts.workspace_contract import TASK, pictures
from tests.workspaces.azureml.automl_parts import KilledError, automl_run, automl_runs, train
from tests.workspaces.azureml.azure_parts import instantly, opened
from tests.workspaces.azureml.memory import Cloud


def killed_after_submitting(cloud: Cloud, run_id: str, folder: Path, generation: str) -> None:
    workspace, service = opened(cloud, folder, generation)

    def dies(call: str) -> None:
        if call == "children":
            raise KilledError

    service.network = dies
    with pytest.raises(KilledError):
        train(workspace, run_id)


def test_a_restarted_node_goes_on_with_the_run_that_it_began(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "first node")

    def dies(call: str) -> None:
        if call == "metrics":
            raise KilledError

    service.network = dies
    with pytest.raises(KilledError):
        train(workspace, run_id)
    found = train(opened(cloud, tmp_path / "second node")[0], run_id)
    assert found.best.metrics["mean_average_precision"] == 0.7
    assert len(cloud.requests) == 1


def test_an_answer_that_is_lost_starts_no_second_run(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "step")
    service.lost.add("submit_automl")
    said: list[Event] = []
    assert train(workspace, run_id, said.append).best.number == 1
    assert len(cloud.requests) == 1
    assert any("dropped" in event.text for event in said if event.kind == "warning")


def test_a_run_that_no_search_shows_yet_is_found_by_its_name(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    killed_after_submitting(cloud, run_id, tmp_path / "first node", "v2")
    workspace, service = opened(cloud, tmp_path / "second node")
    service.behind = 10**6
    assert train(workspace, run_id).best.number == 1
    assert len(cloud.requests) == 1
    (found,) = automl_runs(cloud)
    assert re.fullmatch(r"automl_[0-9a-f]{32}", found.id)


@pytest.mark.parametrize(("behind", "submitted"), [(1, 1), (2, 2)])
def test_v1_looks_twice_before_it_submits(tmp_path: Path, behind: int, submitted: int) -> None:
    """It gives no names: what a search shows 25 seconds later is found, what it shows an hour later is not."""
    cloud = Cloud()
    importer, _ = opened(cloud, tmp_path / "importer", "v1")
    importer.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)
    run_id = importer.runs.create(kind="job", experiment="caps", parameters={}).id
    killed_after_submitting(cloud, run_id, tmp_path / "first node", "v1")
    slept: list[float] = []
    workspace, service = opened(cloud, tmp_path / "second node", "v1", Patience(sleep=slept.append))
    service.behind = behind
    train(workspace, run_id)
    assert len(cloud.requests) == submitted
    assert slept[0] == 25.0


def test_v1_does_not_wait_where_nothing_was_asked_for(tmp_path: Path) -> None:
    cloud, slept = Cloud(), list[float]()
    workspace, _ = opened(cloud, tmp_path / "step", "v1", Patience(sleep=slept.append))
    workspace.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)
    train(workspace, workspace.runs.create(kind="job", experiment="caps", parameters={}).id)
    assert 25.0 not in slept


def test_a_name_that_another_node_took_meanwhile_is_its_run(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "step")
    other, _ = opened(cloud, tmp_path / "other")
    once = [run_id]

    def meanwhile(call: str) -> None:
        if call == "submit_automl" and once:
            train(other, once.pop())

    service.network = meanwhile
    assert train(workspace, run_id).best.number == 1
    assert len(automl_runs(cloud)) == 1


@pytest.mark.parametrize("stop", [CancelledError("told to stop"), KeyboardInterrupt()])
def test_a_step_that_is_told_to_stop_cancels_its_run(
    cloud: Cloud, run_id: str, tmp_path: Path, stop: BaseException
) -> None:
    cloud.script = replace(cloud.script, hangs=True)
    workspace, _ = opened(cloud, tmp_path / "step")

    def reporter(event: Event) -> None:
        if event.kind == "epoch":
            raise stop

    with pytest.raises(type(stop)):
        train(workspace, run_id, reporter)
    assert automl_run(cloud) == "Canceled"
    cloud.script = replace(cloud.script, hangs=False)  # the node was only moved: the step runs again
    assert train(opened(cloud, tmp_path / "moved")[0], run_id).best.number == 1
    first, second = automl_runs(cloud)
    assert second.id == f"{first.id}-2", "a job's name is used once"
    assert train(opened(cloud, tmp_path / "moved again")[0], run_id).best.number == 1
    assert len(cloud.requests) == 2


def test_a_step_that_stops_while_it_submits_cancels_too(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "step", patience=instantly())
    cloud.script = replace(cloud.script, hangs=True)
    signals = [CancelledError("SIGTERM")]  # told once

    def stopped(call: str) -> None:
        if call == "run" and cloud.requests and signals:
            raise signals.pop()

    service.network = stopped
    with pytest.raises(CancelledError):
        train(workspace, run_id)
    assert automl_run(cloud) == "Canceled"


def test_what_a_person_cancelled_stays_cancelled(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    cloud.script = replace(cloud.script, status="Canceled", best=None)
    for attempt in ("one", "two"):
        with pytest.raises(CancelledError, match="cancelled in the workspace"):
            train(opened(cloud, tmp_path / attempt)[0], run_id)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize("carried_on", [True, False])
def test_a_run_that_v1_made_and_did_not_start_is_not_waited_for(tmp_path: Path, carried_on: bool) -> None:
    """The node was lost between the SDK's calls: the run can be found, and would not start by itself."""
    cloud = Cloud()
    workspace, service = opened(cloud, tmp_path / "step", "v1")
    workspace.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)
    run_id = workspace.runs.create(kind="job", experiment="caps", parameters={}).id
    killed_after_submitting(cloud, run_id, tmp_path / "first node", "v1")
    (half,) = automl_runs(cloud)
    tags = {name: value for name, value in half.tags.items() if name != STARTED_TAG}
    cloud.runs.change(half.id, tags=tags, status="NotStarted")
    del cloud.runs.scripts[half.id]  # so it does nothing

    def nobody(call: str) -> None:
        if call == "cancel_run" and not carried_on:
            raise NotFoundError("nobody carries it on")

    service.network = nobody
    assert train(workspace, run_id).best.number == 0
    first, second = automl_runs(cloud)
    assert (STOPPED_TAG in first.tags, second.status) == (True, "Completed")
    assert first.status == ("Canceled" if carried_on else "NotStarted")
    assert train(workspace, run_id).best.number == 0
    assert len(cloud.requests) == 2
