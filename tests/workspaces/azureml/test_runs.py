"""Runs of an Azure ML workspace: what ours leave in tags, and the end of what they wait for."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_training.workspaces.azureml.workspace import AzureWorkspace
from scoring.errors import ConflictError, NotFoundError, StorageError, UsageError
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import Cloud
from tests.workspaces.azureml.memory_runs import Script


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def workspace(cloud: Cloud, tmp_path: Path) -> AzureWorkspace:
    return opened(cloud, tmp_path / "here")[0]


def test_a_result_of_any_size_is_read_anywhere(cloud: Cloud, workspace: AzureWorkspace, tmp_path: Path) -> None:
    other = opened(cloud, tmp_path / "other")[0].runs
    for count in (1, 200):
        result = {"model": "M", "version": 3, "metrics": {f"label {n}": n / 7 for n in range(count)}}
        run = workspace.runs.create(kind="job", experiment="caps", parameters={})
        workspace.runs.note(run.id, result=result)
        assert other.get(run.id).result == result
        assert all(len(value) <= 1000 for value in cloud.runs.get(run.id).facts.tags.values())


def test_a_run_of_the_service_is_noted_on_and_ended_by_the_service(cloud: Cloud, workspace: AzureWorkspace) -> None:
    cloud.runs.start("step-1", "caps", "Running", {})
    run = workspace.runs.update("step-1", status="Completed", result={"version": 2})
    assert (run.status, run.result) == ("Running", {"version": 2})  # it is complete when its process ends
    workspace.runs.note("step-1", error="e" * 3000)
    assert workspace.runs.get("step-1").error == "e" * 1000


def test_a_run_made_here_is_ended_here_and_stays_so(workspace: AzureWorkspace) -> None:
    run = workspace.runs.create(kind="job", experiment="caps", parameters={})
    failed = workspace.runs.update(run.id, status="Failed", error="why")
    assert (failed.status, failed.error) == ("Failed", "why")
    with pytest.raises(ConflictError, match="has ended"):
        workspace.runs.update(run.id, status="Completed")
    with pytest.raises(UsageError, match="expected one of"):
        workspace.runs.update(run.id, status="Done")


def test_the_newest_stands_first_and_children_are_left_out(cloud: Cloud, workspace: AzureWorkspace) -> None:
    for number in range(3):
        cloud.runs.start(f"r{number}", "caps", "Running", {"cva_parameters": "no JSON"})
    cloud.runs.start("r2-step", "caps", "Running", {}, parent="r2")
    assert [run.id for run in workspace.runs.list()] == ["r2", "r1", "r0"]
    assert workspace.runs.get("r2-step").parameters == {}


def test_cancelling_a_pipeline_ends_the_automl_run_that_its_step_waits_for(
    cloud: Cloud, workspace: AzureWorkspace
) -> None:
    cloud.runs.start("pipeline", "caps", "Running", {})
    cloud.runs.start("step", "caps", "Running", {}, parent="pipeline")
    waited_for = cloud.runs.begin(Script(hangs=True), "caps", {"cva_run": "step"})
    other = cloud.runs.begin(Script(hangs=True), "caps", {"cva_run": "another step"})
    assert workspace.runs.cancel("pipeline").status == "Canceled"
    assert cloud.runs.get(waited_for.id).facts.status == "Canceled"
    assert cloud.runs.get(other.id).facts.status == "NotStarted"


def test_cancelling_what_has_ended_changes_nothing(cloud: Cloud, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "x")
    cloud.runs.start("done", "caps", "Completed", {})
    assert workspace.runs.cancel("done").status == "Completed"
    assert "cancel_run" not in service.calls


def test_the_log_is_the_services(cloud: Cloud, workspace: AzureWorkspace) -> None:
    cloud.runs.start("r", "caps", "Running", {})
    cloud.runs.get("r").log = "==> train"
    assert workspace.runs.log("r") == "==> train"
    with pytest.raises(NotFoundError, match="other"):
        workspace.runs.log("other")


@pytest.mark.parametrize("experiment", ["", "a/b", "caps.1"])
def test_an_experiment_keeps_to_azures_rule(workspace: AzureWorkspace, experiment: str) -> None:
    with pytest.raises(UsageError, match="experiment"):
        workspace.runs.create(kind="job", experiment=experiment, parameters={})


def test_parameters_that_no_tag_holds_are_refused(workspace: AzureWorkspace) -> None:
    with pytest.raises(StorageError, match="a tag holds 1000"):
        workspace.runs.create(kind="job", experiment="caps", parameters={"a": "x" * 1000})
