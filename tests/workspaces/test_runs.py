"""Runs as any process sees them: their life, their death by kill, cancelling, logs, going on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.workspaces.base import Event, Run
from model_training.workspaces.local import LocalWorkspace
from model_training.workspaces.local.run_files import plain
from scoring.errors import ConflictError, NotFoundError, UsageError

OWNER = """
import sys
from model_training.workspaces.local import LocalWorkspace
runs = LocalWorkspace.open(sys.argv[1]).runs
with runs.own(sys.argv[2]):
    runs.update(sys.argv[2], status="Running")
    print("running", flush=True)
    sys.stdin.readline()
    if runs.cancelled(sys.argv[2])():
        runs.update(sys.argv[2], status="Canceled")
    else:
        runs.update(sys.argv[2], status="Completed", result={"version": 3})
"""


@pytest.fixture
def workspace(tmp_path: Path) -> LocalWorkspace:
    return LocalWorkspace.open(tmp_path / "ws")


@pytest.fixture
def run(workspace: LocalWorkspace) -> Run:
    return workspace.runs.create(kind="pipeline", experiment="exp", parameters={"a": "b"}, fingerprint="same")


def owner(workspace: LocalWorkspace, run: Run) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OWNER, str(workspace.path), run.id]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


def test_a_new_run_waits_and_says_what_it_was_asked(workspace: LocalWorkspace, run: Run) -> None:
    assert (run.status, run.kind, run.experiment, run.parameters) == ("NotStarted", "pipeline", "exp", {"a": "b"})
    assert workspace.runs.get(run.id) == run
    assert run.folder == workspace.path / "runs" / run.id


def test_the_newest_run_is_listed_first(workspace: LocalWorkspace) -> None:
    made = [workspace.runs.create(kind="job", experiment="e", parameters={}).id for _ in range(5)]
    assert [run.id for run in workspace.runs.list()] == made[::-1]


def test_another_process_sees_it_run_and_complete(workspace: LocalWorkspace, run: Run) -> None:
    process = owner(workspace, run)
    assert workspace.runs.get(run.id).status == "Running"
    with pytest.raises(ConflictError, match=f"by process {process.pid}"), workspace.runs.own(run.id):
        pass
    process.communicate("go\n")
    ended = workspace.runs.get(run.id)
    assert (ended.status, ended.result, bool(ended.ended_at)) == ("Completed", {"version": 3}, True)


def test_a_killed_process_leaves_a_failed_run(workspace: LocalWorkspace, run: Run) -> None:
    process = owner(workspace, run)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    dead = workspace.runs.get(run.id)
    assert dead.status == "Failed"
    assert dead.error == f"process {process.pid} is gone; submit again to go on"


def test_cancel_works_across_processes(workspace: LocalWorkspace, run: Run) -> None:
    process = owner(workspace, run)
    assert workspace.runs.cancel(run.id).status == "CancelRequested"
    process.communicate("go\n")
    assert workspace.runs.get(run.id).status == "Canceled"


def test_cancelling_what_nobody_executes_ends_it(workspace: LocalWorkspace, run: Run) -> None:
    assert workspace.runs.cancel(run.id).status == "Canceled"


def test_cancelling_an_ended_run_changes_nothing(workspace: LocalWorkspace, run: Run) -> None:
    workspace.runs.update(run.id, status="Completed", result={"version": 1})
    assert workspace.runs.cancel(run.id).status == "Completed"
    with pytest.raises(ConflictError, match="has ended"):
        workspace.runs.update(run.id, status="Running")


def test_a_launched_run_that_never_began_has_failed(workspace: LocalWorkspace, run: Run) -> None:
    workspace.runs.launched(run.id)
    assert workspace.runs.get(run.id).status == "Failed"


def test_an_interrupted_run_is_found_by_its_fingerprint_and_reopened(workspace: LocalWorkspace, run: Run) -> None:
    assert workspace.runs.resumable("same") is None  # it has not ended
    workspace.runs.cancel(run.id)
    found = workspace.runs.resumable("same")
    assert found is not None and found.id == run.id
    assert workspace.runs.resumable("other") is None
    assert workspace.runs.reopen(run.id).status == "NotStarted"
    assert not workspace.runs.cancelled(run.id)()


def test_a_completed_run_is_not_done_twice_by_going_on(workspace: LocalWorkspace, run: Run) -> None:
    workspace.runs.update(run.id, status="Failed", error="disk full")
    workspace.runs.reopen(run.id)
    workspace.runs.update(run.id, status="Completed")
    assert workspace.runs.resumable("same") is None


def test_events_become_lines_for_people_and_for_programs(workspace: LocalWorkspace, run: Run) -> None:
    report = workspace.runs.reporter(run.id)
    report(Event("stage", "train — «Größe»", {"path": Path("x"), "loss": float("nan")}))
    report(Event("progress", "12 %", {"step": 1}))
    lines = [json.loads(line) for line in (run.folder / "events.jsonl").read_text("utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["stage", "progress"]
    assert lines[0]["data"] == {"path": "x", "loss": None}
    assert "train — «Größe»" in workspace.runs.log(run.id)
    assert "12 %" not in workspace.runs.log(run.id)


@pytest.mark.parametrize("run_id", ["nope", "", "..", "../runs", "a/b"])
def test_an_unknown_run_is_named_with_the_latest(workspace: LocalWorkspace, run: Run, run_id: str) -> None:
    with pytest.raises(NotFoundError, match=run.id):
        workspace.runs.get(run_id)


def test_a_status_is_one_of_azures_words(workspace: LocalWorkspace, run: Run) -> None:
    with pytest.raises(UsageError, match="Completed"):
        workspace.runs.update(run.id, status="Done")


def test_a_folder_knows_its_run(workspace: LocalWorkspace, run: Run, tmp_path: Path) -> None:
    assert workspace.runs.containing(run.folder / "sweep" / "trials") == run.id
    assert workspace.runs.containing(tmp_path) is None
    assert workspace.runs.containing(workspace.path / "runs") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner),
)


@given(st.dictionaries(st.text(), json_values))
@settings(deadline=None, max_examples=50)
def test_whatever_is_reported_can_be_written_as_strict_json(value: dict[str, object]) -> None:
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == plain(value)
