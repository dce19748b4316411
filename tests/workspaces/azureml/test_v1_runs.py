"""Runs with the SDK's own clients of run history: found by id and tag, ended, cancelled, read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from model_training.workspaces.azureml.v1.words import status
from scoring.errors import NotFoundError
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

BASE = {"NotStarted", "Running", "Completed", "Failed", "CancelRequested", "Canceled"}


def test_a_run_of_our_own_is_followed_to_its_end(azure: FakeAzure, v1: Remote) -> None:
    run = v1.start_run("caps", tags={"cva": "1"})
    assert (run.experiment, run.status, run.tags, run.parent) == ("caps", "Running", {"cva": "1"}, "")
    assert run.id in run.portal_url and run.created_at.endswith("Z")
    v1.tag_run(run.id, {"cva": "2", "result": "x"})
    v1.end_run(run.id, status="Completed")
    done = v1.run(run.id)
    assert (done.status, done.tags, bool(done.ended_at)) == ("Completed", {"cva": "2", "result": "x"}, True)
    azure.assert_clean()


def test_a_failed_run_keeps_its_reason(v1: Remote) -> None:
    run = v1.start_run("caps", tags={})
    v1.end_run(run.id, status="Failed", error="no images in the test part")
    done = v1.run(run.id)
    assert (done.status, done.error) == ("Failed", "no images in the test part")


def test_a_run_of_our_own_is_cancelled_at_once(v1: Remote) -> None:
    run = v1.start_run("caps", tags={})
    v1.cancel_run(run.id)
    assert v1.run(run.id).status == "Canceled"


def test_runs_are_found_by_tag_over_all_experiments_newest_first(v1: Remote) -> None:
    made = [v1.start_run(name, tags={"kind": kind}) for name, kind in (("a", "x"), ("b", "x"), ("b", "y"), ("a", "x"))]
    assert [run.id for run in v1.runs()] == [run.id for run in reversed(made)]
    assert [run.id for run in v1.runs(tags={"kind": "x"})] == [made[3].id, made[1].id, made[0].id]
    assert [run.id for run in v1.runs(limit=2)] == [made[3].id, made[2].id]
    assert v1.runs(tags={"kind": "z"}) == []


def test_a_list_of_runs_follows_pages_only_as_far_as_it_needs(azure: FakeAzure, v1: Remote) -> None:
    made = [v1.start_run("a", tags={}) for _ in range(7)]
    assert len(v1.runs()) == len(made)
    before = len(azure.requests.find("POST", "runs:query"))
    assert len(v1.runs(limit=1)) == 1
    assert len(azure.requests.find("POST", "runs:query")) == before + 1


def test_children_are_no_runs_of_their_own(azure: FakeAzure, v1: Remote) -> None:
    from tests.fake_azure.state import RunRecord

    run = v1.start_run("caps", tags={})
    for number in range(4):
        azure.state.runs[f"child-{number}"] = RunRecord(f"child-{number}", "caps", parent=run.id)
    assert [child.id for child in v1.children(run.id)] == [f"child-{number}" for number in range(4)]
    assert {child.parent for child in v1.children(run.id)} == {run.id}
    assert [each.id for each in v1.runs()] == [run.id]


def test_an_unknown_run_is_named(v1: Remote) -> None:
    for call in (v1.run, v1.run_log, v1.cancel_run, v1.files, v1.metrics, v1.children):
        with pytest.raises(NotFoundError, match="no-such-run"):
            call("no-such-run")


def test_the_log_of_a_pipeline_run_is_that_of_its_step(azure: FakeAzure, v1: Remote) -> None:
    from tests.fake_azure.state import RunRecord
    from tests.fake_azure.v2.automl import leave

    run = v1.start_run("caps", tags={})
    assert v1.run_log(run.id) == ""
    step = azure.state.runs["step"] = RunRecord("step", "caps", parent=run.id)
    leave(azure, step, {"user_logs/std_log.txt": "größer\n".encode(), "logs/other.txt": b"no"})
    assert v1.run_log(run.id) == "größer\n"
    leave(azure, azure.state.runs[run.id], {"azureml-logs/70_driver_log.txt": b"own"})
    assert v1.run_log(run.id) == "own"


def test_metrics_are_numbers_by_epoch(azure: FakeAzure, v1: Remote) -> None:
    run = v1.start_run("caps", tags={})
    metrics = {f"metric_{number}": [0.1 * number, 0.5] for number in range(5)}
    azure.state.runs[run.id].metrics = metrics
    assert v1.metrics(run.id) == metrics


@pytest.mark.parametrize("word", ["Queued", "Preparing", "Finalizing", "NotResponding", "SomethingNew", None])
def test_every_word_of_the_service_is_one_of_ours(word: str | None) -> None:
    assert status(word) in BASE
