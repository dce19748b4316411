"""The AutoML run of a job: what is submitted, what is told of it, what comes back, how its failure is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model_training.jobs.spec import DataPaths, Limits
from model_training.workspaces.azureml.service import Compute
from model_training.workspaces.azureml.trials import at_best
from model_training.workspaces.base import Event
from scoring.errors import (
    CvaError,
    IntegrityError,
    NotFoundError,
    TrainingError,
    UsageError,
)
from tests.contracts.workspace_contract import JOB
from tests.workspaces.azureml.automl_parts import job_of, train
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import Cloud
from tests.workspaces.azureml.memory_runs import ONNX, Script, ScriptedTrial


def test_the_best_trials_numbers_are_all_of_its_best_epoch(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    workspace, _ = opened(cloud, tmp_path / "step")
    found = train(workspace, run_id)
    best = found.best
    assert (best.number, best.status, best.best_epoch, best.epochs) == (1, "completed", 2, 3)
    assert best.metrics == {"mean_average_precision": 0.7, "precision": 0.5, "recall": None}
    assert (best.algorithm, dict(best.hyperparameters)) == ("yolov5", {"learning_rate": 0.01})
    assert [trial.number for trial in found.leaderboard] == [1, 0]
    assert found.leaderboard[1].hyperparameters == {"learning_rate": 0.1}
    assert best.weights is None and found.leaderboard[1].exported is None
    assert (found.folder / "leaderboard.json").is_file()


def test_what_the_best_trial_left_is_fetched_without_its_pickles(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "step")
    exported = train(workspace, run_id).best.exported
    assert exported is not None and exported.name == "automl"
    there = {path.relative_to(exported).as_posix(): path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    assert there == {name: ONNX[name] for name in ("train_artifacts/model.onnx", "train_artifacts/labels.json")}
    service.calls.clear()
    train(workspace, run_id)
    assert "download_file" not in service.calls


def test_what_is_submitted_is_the_job_on_the_registered_parts(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    train(opened(cloud, tmp_path / "step")[0], run_id)
    (request,) = cloud.requests
    assert (request.train.name, request.validation.name) == ("caps-train", "caps-val")
    assert (request.cluster, request.experiment, request.job.source) == ("gpu-cluster", "caps", JOB)
    assert request.tags["cva_run"] == run_id


@pytest.mark.parametrize(
    ("limits", "minutes"),
    [
        ("limits: {max_trials: 1}", 480),  # Azure's own default is a week
        ("limits: {max_trials: 1, timeout_minutes: 20000}", 480),
        ("limits: {max_trials: 1, timeout_minutes: 90}", 90),
        ("limits: {max_trials: 1, timeout_minutes: 1440}", 1440),  # a person chose a day
    ],
)
def test_a_cost_guard_is_always_set(cloud: Cloud, run_id: str, tmp_path: Path, limits: str, minutes: int) -> None:
    train(opened(cloud, tmp_path / "step")[0], run_id, text=JOB.replace("limits: {max_trials: 1}", limits))
    assert cloud.requests[0].job.limits == Limits(minutes, 1, 1)


def test_the_course_is_told_as_a_local_sweep_tells_it(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    said: list[Event] = []
    train(opened(cloud, tmp_path / "step")[0], run_id, said.append)
    kinds = [event.kind for event in said]
    assert kinds.count("trial_started") == kinds.count("trial_ended") == 2
    assert [(e.data["trial"], e.data["value"]) for e in said if e.kind == "epoch"] == [
        (0, 0.3),
        (1, 0.2),
        (1, 0.7),
        (1, 0.6),
    ]
    assert "trial 2" in said[-1].text and said[-1].kind == "leaderboard"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            Script([ScriptedTrial(status="Failed", error="CUDA out of memory")], None, "Failed", "a child failed"),
            "CUDA",
        ),
        (Script([], None, "Failed", "no quota left for NCASv3"), "ask for quota of Standard_NC4as_T4_v3"),
        (Script([], None, "Failed"), "gives no reason"),
        (Script([ScriptedTrial({"mean_average_precision": [0.1]})], None), "without a best trial"),
    ],
)
def test_a_failure_is_said_in_the_services_own_words(
    cloud: Cloud, run_id: str, tmp_path: Path, script: Script, says: str
) -> None:
    cloud.script = script
    with pytest.raises(TrainingError, match=says) as caught:
        train(opened(cloud, tmp_path / "step")[0], run_id)
    assert "https://ml.azure.com/runs/" in str(caught.value)


@pytest.mark.parametrize(
    ("cluster", "error", "says"),
    [
        ("nowhere", NotFoundError, "clusters: cpu-cluster, gpu-cluster, old"),
        ("old", UsageError, "Standard_NC4as_T4_v3"),
    ],
)
def test_a_cluster_that_cannot_train_is_refused_before_anything_is_spent(
    cloud: Cloud, run_id: str, tmp_path: Path, cluster: str, error: type[CvaError], says: str
) -> None:
    cloud.computes["old"] = Compute("old", "STANDARD_NC6", 0, 1)
    workspace, _ = opened(cloud, tmp_path / "step")
    for use in (lambda: workspace.automl.check(cluster), lambda: train(workspace, run_id, cluster=cluster)):
        with pytest.raises(error) as caught:
            use()
        assert says in str(caught.value)
    assert cloud.requests == []


def test_a_cluster_without_gpu_is_warned_of(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    said: list[Event] = []
    train(opened(cloud, tmp_path / "step")[0], run_id, said.append, cluster="cpu-cluster")
    assert (said[0].kind, "NC and ND" in said[0].text) == ("warning", True)


def test_what_only_this_machine_can_do_is_refused(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    workspace, _ = opened(cloud, tmp_path / "step")
    job = job_of(workspace)
    nano = replace(job, overrides={"model_size": "nano"})
    bare = replace(job, data=DataPaths(Path("a"), Path("b"), ("cap",)))
    for wrong, says in ((nano, "model_size"), (bare, "not registered"), (replace(job, data=None), "no data")):
        with pytest.raises(UsageError, match=says):
            workspace.automl.run(wrong, "gpu-cluster", folder=tmp_path / "sweep")
    assert cloud.requests == []


@pytest.mark.parametrize("path", ["train_artifacts/../../../x.json", "train_artifacts//etc/passwd"])
def test_a_path_that_leads_out_of_the_folder_is_not_fetched(
    cloud: Cloud, run_id: str, tmp_path: Path, path: str
) -> None:
    trial = ScriptedTrial({"mean_average_precision": [0.5]}, files={**ONNX, path: b"x"})
    cloud.script = Script([trial])
    with pytest.raises(IntegrityError, match="unsafe path"):
        train(opened(cloud, tmp_path / "step")[0], run_id)


def test_a_trial_without_an_onnx_file_says_where_to_look(cloud: Cloud, run_id: str, tmp_path: Path) -> None:
    cloud.script = Script([ScriptedTrial({"mean_average_precision": [0.5]}, files={"outputs/x.json": b""})])
    with pytest.raises(NotFoundError, match="std_log"):
        train(opened(cloud, tmp_path / "step")[0], run_id)


@pytest.mark.parametrize(
    ("metrics", "values", "best"),
    [
        ({}, {}, None),
        ({"m": [float("nan")]}, {}, None),
        ({"m": [-1.0, 0.1], "p": [0.3, -1.0]}, {"m": 0.1, "p": None}, 1),  # -1 is what the service writes for nothing
        ({"m": [0.5, 0.5], "p": [0.1, 0.2]}, {"m": 0.5, "p": 0.1}, 0),  # the first of equals
    ],
)
def test_one_epoch_speaks_for_all(
    metrics: dict[str, list[float]], values: dict[str, float | None], best: int | None
) -> None:
    assert at_best(metrics, "m") == (values, best)
