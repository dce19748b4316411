"""Submissions: checked, executed here or by a process of their own, cancelled, killed, gone on with."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_training import pipeline
from model_training.pipeline import Registered
from model_training.workspaces.base import Event, Reporter, Run
from model_training.workspaces.local import LocalWorkspace
from model_training.workspaces.local.submissions import Submission, create, execute, start
from scoring.errors import CancelledError, DataError, UsageError
from tests.contracts.bundles import decision, tiny_bundle
from tests.contracts.workspace_contract import JOB, winner

ASKED = Submission("cap_detection", "caps", "Cap_Detection_Model", "local")
ENDED = ("Completed", "Failed", "Canceled")


def begin(workspace: LocalWorkspace, asked: Submission = ASKED) -> Run:
    return create(workspace, workspace.endpoints.version("train_caps"), asked)


def until(workspace: LocalWorkspace, run: Run, *statuses: str) -> Run:
    for _ in range(1200):
        found = workspace.runs.get(run.id)
        if found.status in (*statuses, *ENDED):
            return found
        time.sleep(0.05)
    raise AssertionError(f"run stays {found.status}")


@pytest.fixture
def trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Instead of training: what was asked for is noted, a bundle that the gate keeps out comes back."""
    calls: list[dict[str, Any]] = []

    def step(workspace: LocalWorkspace, template: Any, *, reporter: Reporter, **asked: Any) -> Registered:
        calls.append({"template": template, **asked})
        reporter(Event("stage", "train"))
        dataset = workspace.datasets.get(asked["dataset_name"])
        kept_out = decision(register=False, code="not_better")
        bundle = tiny_bundle(tmp_path / f"bundle-{len(calls)}")
        report = workspace.runs.get(asked["run_id"]).folder / "report" / "index.html"
        return Registered(None, kept_out, bundle, winner(tmp_path), dataset, workspace.datasets.split(dataset), report)

    monkeypatch.setattr(pipeline, "train_and_register", step)
    return calls


def test_a_run_pins_what_the_names_meant_when_it_was_submitted(published: LocalWorkspace) -> None:
    run = begin(published)
    assert (run.status, run.kind, run.experiment) == ("NotStarted", "pipeline", "cap_detection")
    assert run.parameters["dataset"] == "caps:1"
    assert (run.parameters["endpoint"], run.parameters["endpoint_version"]) == ("train_caps", "1")


def test_it_executes_the_published_version_with_its_parameters(
    published: LocalWorkspace, trains: list[dict[str, Any]]
) -> None:
    run = begin(published, Submission("e", "caps", "M", "local", "if-better", 1.5, model_size="pico"))
    published.endpoints.publish("train_caps", JOB.replace("number_of_epochs: 1", "number_of_epochs: 2"))
    said: list[Event] = []
    done = execute(published, run.id, said.append)
    assert done.status == "Completed"
    assert done.result["decision"]["code"] == "not_better"
    assert done.result["metrics"]["mean_average_precision"] == 0.75
    asked = trains[0]
    assert (asked["dataset_name"], asked["model_name"], asked["cluster"]) == ("caps:1", "M", "local")
    assert (asked["register"], asked["run_id"]) == ("if-better", run.id)
    assert asked["template"].training_parameters["number_of_epochs"] == 1
    assert asked["template"].budget_minutes == 1.5
    assert asked["template"].overrides == {"model_size": "pico"}
    assert [event.kind for event in said] == ["message", "stage"]
    assert "train_caps version 1 on caps:1" in published.runs.log(run.id)


@pytest.mark.parametrize(
    ("failure", "status", "says"),
    [
        (DataError("no images", hint="add some"), "Failed", "no images"),
        (CancelledError("stopped"), "Canceled", "stopped"),
        (KeyboardInterrupt(), "Canceled", "submit again to go on"),
        (ZeroDivisionError("division by zero"), "Failed", "ZeroDivisionError: division by zero"),  # our own fault
    ],
)
def test_however_it_ends_the_record_says_so(
    published: LocalWorkspace,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    status: str,
    says: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(pipeline, "train_and_register", fail)
    run = begin(published)
    with pytest.raises(type(failure)):
        execute(published, run.id)
    ended = published.runs.get(run.id)
    assert ended.status == status
    assert says in ended.error
    assert says in published.runs.log(run.id)


def test_the_same_submission_goes_on_and_another_does_not(
    published: LocalWorkspace, trains: list[dict[str, Any]]
) -> None:
    run = begin(published)
    published.runs.cancel(run.id)
    assert begin(published, Submission("cap_detection", "caps", "Other", "local")).id != run.id
    assert begin(published, Submission("cap_detection", "caps", "Cap_Detection_Model", "local", new=True)).id != run.id
    again = begin(published)
    assert again.id != run.id  # the newest run of the same work has not ended
    published.runs.cancel(again.id)
    assert begin(published).id == again.id
    assert execute(published, again.id).status == "Completed"
    assert begin(published).id not in (run.id, again.id)


@pytest.mark.parametrize(
    "asked",
    [
        Submission("e", "caps", "M", "local", "sometimes"),
        Submission("e", "caps", "M", "local", model_size="gigantic"),
        Submission("e", "caps", "M", "local", budget_minutes=0),
        Submission("e", "caps", "M", "local", budget_minutes=float("nan")),
        Submission("e", "caps", "../M", "local"),
        Submission("e e", "caps", "M", "local"),
    ],
)
def test_wrong_options_are_refused_before_a_run_exists(published: LocalWorkspace, asked: Submission) -> None:
    with pytest.raises(UsageError):
        begin(published, asked)
    assert list(published.runs.list()) == []


def test_a_cancelled_run_stops_at_its_next_stage(published: LocalWorkspace, trains: list[dict[str, Any]]) -> None:
    run = begin(published)

    def cancel(event: Event) -> None:
        published.runs.cancel(run.id)

    with pytest.raises(CancelledError):
        execute(published, run.id, cancel)
    assert published.runs.get(run.id).status == "Canceled"


def test_a_process_of_its_own_leaves_its_status_and_its_words(published: LocalWorkspace) -> None:
    run = begin(published)
    shutil.rmtree(published.path / "datasets" / "caps")
    begun = start(published, run)
    assert begun.status in ("NotStarted", "Running", "Failed")
    ended = until(published, run)
    assert ended.status == "Failed"
    assert "there is no dataset 'caps'" in ended.error
    assert "there is no dataset 'caps'" in published.runs.log(run.id)
    assert "Traceback" not in (run.folder / "process.txt").read_text()


def test_two_at_once_are_cancelled_and_killed_and_gone_on_with(published: LocalWorkspace) -> None:
    submit: Callable[..., Run] = published.endpoints.submit
    asked = {"experiment": "e", "dataset_name": "caps", "cluster": "local"}
    first = submit("train_caps", model_name="A", **asked)
    second = submit("train_caps", model_name="B", **asked)
    published.runs.cancel(first.id)
    until(published, second, "Running")
    os.kill(int(published.runs.files(second.id).pid), signal.SIGKILL)
    assert until(published, first).status == "Canceled"
    killed = until(published, second)
    assert killed.status == "Failed"
    assert "submit again to go on" in killed.error
    again = begin(published, Submission("e", "caps", "B", "local"))
    assert again.id == second.id
    assert again.status == "NotStarted"
