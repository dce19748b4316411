"""Runs of every kind and AutoML jobs with the real azure-ai-ml and the workspace's own REST interfaces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_training.jobs.load import parse_job
from model_training.workspaces.azureml.service import AutoMLRequest
from model_training.workspaces.azureml.submission import job_name
from scoring.errors import NotFoundError, UsageError
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

STORE = "workspaceblobstore"
JOB = """
type: automl
name: not_twice
experiment_name: somebody-elses
task: image_object_detection
compute: azureml:another-cluster
primary_metric: mean_average_precision
target_column_name: label
training_data: {path: azureml:caps@latest, type: mltable}
validation_data_size: 0.3
tags: {team: quality}
limits: {timeout_minutes: 90, max_trials: 3, max_concurrent_trials: 2}
training_parameters: {early_stopping: true, number_of_epochs: 5}
sweep:
  sampling_algorithm: random
  early_termination: {type: bandit, evaluation_interval: 2, slack_factor: 0.2, delay_evaluation: 6}
search_space:
  - model_name: {type: choice, values: [yolov5]}
    learning_rate: {type: uniform, min_value: 0.0001, max_value: 0.01}
  - model_name: {type: choice, values: [fasterrcnn_resnet50_fpn]}
    min_size: {type: choice, values: [600, 800]}
"""
FILES = {"train_artifacts/model.onnx": b"onnx", "train_artifacts/labels.json": b'["cap"]', "outputs/m.json": b"{}"}


def submitted(v2: Remote, text: str = JOB, cluster: str = "gpu-cluster", name: str = "", **tags: str) -> Any:
    train, validation = (v2.register_asset(f"caps-{p}", datastore=STORE, path=p, tags={}) for p in ("train", "val"))
    job = parse_job(text, "job.yml", target="azure")
    return v2.submit_automl(AutoMLRequest(job, train, validation, cluster, "cap_detection", tags, name))


# plain runs -----------------------------------------------------------------------------------------------------------


def test_a_plain_run_begins_is_tagged_and_ends(azure: FakeAzure, v2: Remote) -> None:
    run = v2.start_run("imports", tags={"kind": "import"})
    assert (run.experiment, run.status, run.tags) == ("imports", "Running", {"kind": "import"})
    v2.tag_run(run.id, {"images": "12", "kind": "again"})
    v2.end_run(run.id, status="Completed")
    found = v2.run(run.id)
    assert (found.status, found.experiment) == ("Completed", "imports")
    assert found.tags == {"kind": "again", "images": "12"}
    assert found.created_at <= found.ended_at
    assert found.portal_url.startswith(f"https://ml.azure.com/runs/{run.id}?wsid=/subscriptions/")
    azure.assert_clean()


def test_a_failed_run_says_why(v2: Remote) -> None:
    run = v2.start_run("imports", tags={})
    v2.end_run(run.id, status="Failed", error="the disk was full")
    assert (v2.run(run.id).status, v2.run(run.id).error) == ("Failed", "the disk was full")
    (listed,) = v2.runs()
    assert listed.error == "the disk was full"


def test_a_plain_run_that_is_cancelled_has_ended(v2: Remote) -> None:
    run = v2.start_run("imports", tags={})
    v2.cancel_run(run.id)
    assert v2.run(run.id).status == "Canceled"


def test_a_run_ends_in_one_of_three_ways(v2: Remote) -> None:
    run = v2.start_run("imports", tags={})
    with pytest.raises(UsageError, match="Completed, Failed, Canceled"):
        v2.end_run(run.id, status="Running")


def test_runs_are_found_by_tags_over_experiments_and_pages(v2: Remote) -> None:
    for number in range(5):
        v2.start_run(f"experiment_{number % 3}", tags={"batch": "odd" if number % 2 else "it's even", "n": str(number)})
    assert sorted(run.tags["n"] for run in v2.runs()) == ["0", "1", "2", "3", "4"]
    assert sorted(run.tags["n"] for run in v2.runs(tags={"batch": "odd"})) == ["1", "3"]
    assert sorted(run.tags["n"] for run in v2.runs(tags={"batch": "it's even"})) == ["0", "2", "4"]
    assert [run.experiment for run in v2.runs(tags={"n": "4"})] == ["experiment_1"]
    assert len(v2.runs(limit=3)) == 3
    assert v2.runs(tags={"batch": "none"}) == []


def test_an_empty_workspace_has_no_runs(v2: Remote) -> None:
    assert v2.runs() == []


@pytest.mark.parametrize("call", ["run", "metrics", "children"])
def test_an_unknown_run_is_not_found(v2: Remote, call: str) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        getattr(v2, call)("nowhere")


# AutoML ---------------------------------------------------------------------------------------------------------------


def test_the_job_is_submitted_as_it_was_written_with_this_runs_data_and_cluster(azure: FakeAzure, v2: Remote) -> None:
    run = submitted(v2, cva_run="r1")
    record = azure.state.runs[run.id]
    assert (run.experiment, run.status) == ("cap_detection", "NotStarted")
    assert record.tags == {"team": "quality", "cva_run": "r1"}
    body = record.body
    assert body["computeId"].endswith("/computes/gpu-cluster")
    task = body["taskDetails"]
    assert task["trainingData"]["uri"].endswith("/data/caps-train/versions/1")
    assert task["validationData"]["uri"].endswith("/data/caps-val/versions/1")
    assert "validationDataSize" not in task
    assert task["limitSettings"] == {"timeout": "PT1H30M", "maxTrials": 3, "maxConcurrentTrials": 2}
    assert task["modelSettings"]["numberOfEpochs"] == 5
    assert [space["modelName"] for space in task["searchSpace"]] == [
        "choice('yolov5')",
        "choice('fasterrcnn_resnet50_fpn')",
    ]
    assert task["sweepSettings"]["earlyTermination"]["slackFactor"] == 0.2
    azure.assert_clean()


def test_a_job_without_limits_still_has_them(azure: FakeAzure, v2: Remote) -> None:
    text = JOB.replace("limits: {timeout_minutes: 90, max_trials: 3, max_concurrent_trials: 2}\n", "")
    run = submitted(v2, text.partition("sweep:")[0])
    limits = azure.state.runs[run.id].body["taskDetails"]["limitSettings"]
    assert limits == {"timeout": "P7D", "maxTrials": 1, "maxConcurrentTrials": 1}


def test_the_name_that_is_asked_for_is_the_runs(azure: FakeAzure, v2: Remote) -> None:
    """Not the job file's: that one could be submitted once only."""
    name = job_name({"cva_run": "r1", "cva_job": "j1"})
    run = submitted(v2, name=name, cva_run="r1", cva_job="j1")
    assert (run.id, v2.run(name).tags["cva_run"]) == (name, "r1")
    assert azure.requests.find("PUT", f"/jobs/{name}")
    azure.assert_clean()


def test_the_same_job_file_is_submitted_again_under_another_name(v2: Remote) -> None:
    assert submitted(v2).id != submitted(v2).id


def test_an_automl_run_is_followed_to_its_best_trial(azure: FakeAzure, v2: Remote, tmp_path: Path) -> None:
    from tests.fake_azure.v2.automl import Outcome, Trial, script

    course = {"mean_average_precision": [0.1, 0.5, 0.7, 0.6], "recall": [0.2, 0.4, 0.8, 0.9]}
    trials = [Trial(metrics={"mean_average_precision": [0.2]}), Trial(FILES, course, {"learning_rate": 0.01})]
    script(azure.state, Outcome(trials, best=1, looks=1))
    run = submitted(v2)
    assert [v2.run(run.id).status for _ in range(2)] == ["Running", "Completed"]
    best = v2.run(run.id).tags["automl_best_child_run_id"]
    (sweep,) = v2.children(run.id)
    assert [child.id for child in v2.children(sweep.id)] == [f"{run.id}_HD_0", best]
    assert v2.metrics(best) == course
    assert v2.files(best) == sorted(FILES)
    v2.download_file(best, "train_artifacts/model.onnx", tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == b"onnx"
    with pytest.raises(NotFoundError, match=r"gone\.json"):
        v2.download_file(best, "gone.json", tmp_path / "gone.json")
    assert not (tmp_path / "gone.json").exists()


def test_children_are_read_over_pages(azure: FakeAzure, v2: Remote) -> None:
    from tests.fake_azure.v2.automl import Outcome, Trial, script

    script(azure.state, Outcome([Trial()] * 5, looks=0))
    run = submitted(v2)
    assert v2.run(run.id).status == "Completed"
    assert [child.id for child in v2.children(f"{run.id}_HD")] == [f"{run.id}_HD_{n}" for n in range(5)]
    assert {child.parent for child in v2.children(f"{run.id}_HD")} == {f"{run.id}_HD"}


def test_a_failed_automl_run_carries_its_error(azure: FakeAzure, v2: Remote) -> None:
    from tests.fake_azure.v2.automl import Outcome, Trial, script

    failed = Trial(status="Failed", error="CUDA out of memory")
    script(azure.state, Outcome([failed], best=None, status="Failed", error="all trials failed", looks=0))
    run = submitted(v2)
    found = v2.run(run.id)
    assert (found.status, found.error) == ("Failed", "all trials failed")
    assert [child.error for child in v2.children(f"{run.id}_HD")] == ["CUDA out of memory"]


def test_an_automl_run_is_cancelled_and_found_by_its_tags(azure: FakeAzure, v2: Remote) -> None:
    run = submitted(v2, cva_run="r7")
    assert [found.id for found in v2.runs(tags={"cva_run": "r7"})] == [run.id]
    v2.cancel_run(run.id)
    assert v2.run(run.id).status == "Canceled"
    assert azure.requests.find("POST", f"/jobs/{run.id}/cancel")


def test_what_the_service_refuses_is_said_in_its_words(v2: Remote) -> None:
    with pytest.raises((UsageError, NotFoundError), match="no-cluster"):
        submitted(v2, cluster="no-cluster")


# logs -----------------------------------------------------------------------------------------------------------------


def test_a_pipelines_log_is_what_its_step_printed(azure: FakeAzure, v2: Remote) -> None:
    from tests.fake_azure.state import RunRecord
    from tests.fake_azure.v2.automl import leave

    pipeline = RunRecord("p1", "e", "Completed", "azureml.PipelineRun")
    step = RunRecord("s1", "e", "Completed", "azureml.StepRun", parent="p1")
    azure.state.runs |= {"p1": pipeline, "s1": step}
    leave(
        azure,
        step,
        {"user_logs/std_log.txt": b"==> train\n", "system_logs/cs.log": b"noise", "logs/azureml/a.txt": b"x"},
    )
    assert v2.run_log("s1") == "==> train\n"
    assert v2.run_log("p1") == "==> train\n"
    assert v2.run(v2.children("p1")[0].id).parent == "p1"


def test_a_run_without_logs_has_an_empty_one(azure: FakeAzure, v2: Remote) -> None:
    run = v2.start_run("e", tags={})
    assert v2.run_log(run.id) == ""
