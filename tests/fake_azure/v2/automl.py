"""An AutoML image job as the service runs it: a test scripts how it ends, each look at it brings the end nearer.

The run has a sweep (`…_HD`) below it and the trials below that; the tag `automl_best_child_run_id` names the best.
What a trial leaves lies in the artifact store, in the service's own layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Json, arm_error, now
from tests.fake_azure.state import RunRecord, State

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

BEST = "automl_best_child_run_id"
WORKING = ("NotStarted", "Queued", "Running")


@dataclass(frozen=True)
class Trial:
    """`metrics` by epoch, `files` by path as the service leaves them (`train_artifacts/model.onnx`, …)."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    status: str = "Completed"
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """`looks` is how often it is still at work when somebody asks. `best` is a place in `trials`, None for no best."""

    trials: Sequence[Trial] = ()
    best: int | None = 0
    status: str = "Completed"
    error: str = ""
    looks: int = 1


def script(state: State, *outcomes: Outcome) -> None:
    """How the next AutoML jobs end, in their order. A job without a script goes on for ever."""
    state.own.setdefault("automl", {}).setdefault("outcomes", []).extend(outcomes)


def submitted(state: State, name: str, sent: Json) -> RunRecord:
    """Raises: Azure's 400 for data or a cluster that are not there."""
    task = sent["taskDetails"]
    for part in ("trainingData", "validationData"):
        _check_data(state, part, task.get(part))
    cluster = str(sent.get("computeId", "")).rpartition("/")[2]
    if cluster not in state.computes:
        raise arm_error(400, "UserError", f"Compute {cluster!r} was not found.")
    if not (task.get("limitSettings") or {}).get("timeout"):
        raise arm_error(400, "UserError", "this fake wants a time limit: a job without one may cost anything")
    run = RunRecord(name, sent.get("experimentName") or "Default", "NotStarted", "automl", compute=cluster, body=sent)
    run.tags, run.properties = dict(sent.get("tags") or {}), dict(sent.get("properties") or {})
    waiting = state.own.get("automl", {}).get("outcomes") or []
    run.extra = {"outcome": waiting.pop(0) if waiting else None, "looks": 0}
    return run


def advance(azure: FakeAzure, run: RunRecord) -> None:
    """Called whenever somebody looks at a run."""
    if run.kind != "automl":
        return
    if run.status == "CancelRequested":
        _ended(run, "Canceled", "")
        return
    outcome: Outcome | None = run.extra["outcome"]
    if run.status not in WORKING:
        return
    run.status, run.started_at = "Running", run.started_at or now()
    run.extra["looks"] += 1
    if outcome is not None and run.extra["looks"] > outcome.looks:
        _finish(azure, run, outcome)


def leave(azure: FakeAzure, run: RunRecord, files: Mapping[str, bytes]) -> None:
    """Files of a run, where the service keeps them."""
    for path, data in files.items():
        blob = f"ExperimentRun/dcid.{run.id}/{path}"
        azure.blobs.put(azure.state.artifact_container, blob, data)
        run.files[path] = blob


def _finish(azure: FakeAzure, run: RunRecord, outcome: Outcome) -> None:
    state = azure.state
    sweep = RunRecord(f"{run.id}_HD", run.experiment, outcome.status, "hyperdrive", parent=run.id, compute=run.compute)
    if outcome.trials:
        state.runs[sweep.id] = sweep
    for number, trial in enumerate(outcome.trials):
        child = RunRecord(f"{sweep.id}_{number}", run.experiment, trial.status, "azureml.scriptrun", parent=sweep.id)
        child.compute, child.ended_at, child.error = run.compute, now(), trial.error
        child.metrics = {key: list(values) for key, values in trial.metrics.items()}
        sweep.tags[child.id] = json.dumps(trial.hyperparameters)
        state.runs[child.id] = child
        leave(azure, child, trial.files)
    if outcome.best is not None and outcome.trials:
        run.tags[BEST] = f"{run.id}_HD_{outcome.best}"
    _ended(run, outcome.status, outcome.error)


def _ended(run: RunRecord, status: str, error: str) -> None:
    run.status, run.error, run.ended_at = status, error, now()


def _check_data(state: State, part: str, given: Any) -> None:
    if not given or given.get("jobInputType") != "mltable":
        raise arm_error(400, "UserError", f"{part} must be an mltable")
    name, _, version = str(given["uri"]).removeprefix("azureml:").rpartition("/data/")[2].partition("/versions/")
    if not version:
        name, _, version = str(given["uri"]).removeprefix("azureml:").partition(":")
    if int(version or 0) not in state.data.get(name, {}):
        raise arm_error(400, "UserError", f"{part}: the data asset {given['uri']} was not found.")
