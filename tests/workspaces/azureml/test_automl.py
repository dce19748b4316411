"""The AutoML run of a job: submitted once, followed through trouble, cancelled with its step, its best fetched."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model_training.jobs.load import parse_job
from model_training.jobs.spec import DataPaths, JobSpec, Limits
from model_training.workspaces.azureml.following import Patience
from model_training.workspaces.azureml.service import Compute, RunFacts
from model_training.workspaces.azureml.trials import at_best
from model_training.workspaces.azureml.workspace import AzureWorkspace
from model_training.workspaces.base import BestTrial, Event, silent
from scoring.errors import (
    CancelledError,
    CvaError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    TrainingError,
    UnavailableError,
    UsageError,
)
from tests.contracts.workspace_contract import JOB, TASK, pictures
from tests.workspaces.azureml.azure_parts import instantly, opened
from tests.workspaces.azureml.memory import Cloud, MemoryService
from tests.workspaces.azureml.memory_runs import ONNX, Script, ScriptedTrial

# the best precision is of another epoch than the best mAP, the service logged the time once
COURSE = {
    "mean_average_precision": [0.2, 0.7, 0.6],
    "precision": [0.9, 0.5, 0.4],
    "recall": [0.1, float("nan"), 0.8],
    "train_seconds": [12.0],
}
SECOND = ScriptedTrial({"mean_average_precision": [0.3]}, {"--model_name": "yolov5", "--learning_rate": 0.1})


class KilledError(BaseException):
    """The node is gone: nothing of ours gets to run."""


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud()
    importer, _ = opened(cloud, tmp_path / "importer")
    importer.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)
    cloud.script = Script([SECOND, ScriptedTrial(COURSE)], best=1)
    return cloud


@pytest.fixture
def run_id(cloud: Cloud, tmp_path: Path) -> str:
    return opened(cloud, tmp_path / "submitter")[0].runs.create(kind="job", experiment="caps", parameters={}).id


def job_of(workspace: AzureWorkspace, text: str = JOB) -> JobSpec:
    split = workspace.datasets.split(workspace.datasets.get("caps"))
    return parse_job(text, "job.yml").on(DataPaths(split.train, split.validation, ("cap", "no_cap"), split.assets))


def train(
    workspace: AzureWorkspace,
    run_id: str,
    reporter: Callable[[Event], None] = silent,
    *,
    text: str = JOB,
    cluster: str = "gpu-cluster",
) -> BestTrial:
    folder = workspace.runs.get(run_id).folder / "sweep"
    return workspace.automl.run(job_of(workspace, text), cluster, folder=folder, reporter=reporter)


def automl_run(cloud: Cloud) -> str:
    """Status of the one AutoML run that there is."""
    (found,) = automl_runs(cloud)
    return found.status


def automl_runs(cloud: Cloud) -> list[RunFacts]:
    return [record.facts for record in cloud.runs.records.values() if record.facts.tags.get("cva_job")]


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


def killed_after_submitting(cloud: Cloud, run_id: str, folder: Path, generation: str) -> None:
    workspace, service = opened(cloud, folder, generation)

    def dies(call: str) -> None:
        if call == "children":
            raise KilledError

    service.network = dies
    with pytest.raises(KilledError):
        train(workspace, run_id)


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
    assert (said[0].kind, "no GPU" in said[0].text) == ("warning", True)


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
