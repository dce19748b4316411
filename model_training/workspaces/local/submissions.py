"""One submission of a published pipeline: checked before anything is spent, executed here or by its own process.

Knows nothing about HTTP or the command line.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.workspaces.base import TRAINING, Dataset, Event, Json, PublishedPipeline, Reporter, Run, silent
from model_training.workspaces.local.execution import recorded, tee
from model_training.workspaces.names import check_name
from scoring.errors import UsageError

if TYPE_CHECKING:
    from model_training.pipeline import Registered
    from model_training.workspaces.local.workspace import LocalWorkspace

REGISTER = ("always", "if-better")


@dataclass(frozen=True)
class Submission:
    """What is asked for. `new` starts afresh where the same submission would go on with one that was interrupted."""

    experiment: str
    dataset_name: str
    model_name: str
    cluster: str
    register: str = "always"
    budget_minutes: float | None = None  # wall clock of the sweep
    new: bool = False
    source: str = ""  # who asks, for the log
    model_size: str = ""  # pico to extra_large; empty: what the template or the budget says


def check(workspace: LocalWorkspace, published: PublishedPipeline, asked: Submission) -> Dataset:
    """Raises: UsageError, NotFoundError."""
    if published.kind != TRAINING:
        check_scoring(asked)
        workspace.models.get(asked.model_name)
        return workspace.datasets.get(asked.dataset_name)
    check_name(asked.experiment, "experiment")
    check_name(asked.model_name.partition(":")[0].partition("@")[0], "model")
    if asked.register not in REGISTER:
        raise UsageError(f"register {asked.register!r}: expected one of {', '.join(REGISTER)}")
    if asked.budget_minutes is not None and not asked.budget_minutes > 0:
        raise UsageError(f"budget of {asked.budget_minutes:g} minutes: expected more than 0")
    if asked.model_size:
        from model_training.algorithms import check_model_size

        check_model_size(asked.model_size)
    workspace.automl.check(asked.cluster)
    return workspace.datasets.get(asked.dataset_name)


def check_scoring(asked: Submission) -> None:
    """Raises: UsageError for what only training knows."""
    check_name(asked.experiment, "experiment")
    given = {"budget_minutes": asked.budget_minutes, "model_size": asked.model_size}
    wrong = [name for name, value in given.items() if value] + ["register"] * (asked.register != "always")
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)}: batch scoring trains nothing", hint="leave it out, or choose a training endpoint"
        )


def create(workspace: LocalWorkspace, published: PublishedPipeline, asked: Submission) -> Run:
    """The run, not yet started: a new one, or the one that the same submission began and did not finish."""
    dataset = check(workspace, published, asked)
    parameters = {
        "dataset_name": asked.dataset_name,
        "model_name": asked.model_name,
        "cluster": asked.cluster,
        "dataset": dataset.reference,  # what a name without a version meant when it was submitted
        "endpoint": published.endpoint,
        "endpoint_version": str(published.version),
    }
    if published.kind == TRAINING:
        parameters["register"] = asked.register
    else:
        parameters["model"] = workspace.models.get(asked.model_name).reference
    if asked.budget_minutes is not None:
        parameters["budget_minutes"] = f"{asked.budget_minutes:g}"
    if asked.model_size:
        parameters["model_size"] = asked.model_size
    same = json.dumps([parameters, asked.experiment, dataset.sha256], sort_keys=True)
    fingerprint = hashlib.sha256(same.encode()).hexdigest()
    unfinished = None if asked.new else workspace.runs.resumable(fingerprint)
    if unfinished:
        run = workspace.runs.reopen(unfinished.id)
    else:
        run = workspace.runs.create(
            kind="pipeline", experiment=asked.experiment, parameters=parameters, fingerprint=fingerprint
        )
    workspace.runs.reporter(run.id)(Event("message", f"submitted by {asked.source or 'this machine'}"))
    return run


def start(workspace: LocalWorkspace, run: Run) -> Run:
    """Execute the run in a process that outlives this one. It is given the run's lock, so the run is never unowned."""
    lock = workspace.runs.files(run.id).take()
    try:
        workspace.runs.launched(run.id)
        process = _spawn(workspace, run, lock)
    finally:
        os.close(lock)  # the other process holds its own copy of the descriptor, and with it the lock
    threading.Thread(target=process.wait, daemon=True).start()  # nobody else collects it when it ends
    return workspace.runs.get(run.id)


def _spawn(workspace: LocalWorkspace, run: Run, lock: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "model_training", "--workspace", str(workspace.path)]
    command += ["endpoint", "execute", run.id, "--lock", str(lock)]
    with (run.folder / "process.txt").open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[lock],
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def execute(workspace: LocalWorkspace, run_id: str, reporter: Reporter = silent, lock: int | None = None) -> Run:
    """Do the work of a run in this process. Raises what the pipeline raises, after it is in the run's record."""
    with workspace.runs.own(run_id, lock), recorded(workspace, run_id):
        workspace.runs.update(run_id, status="Running")
        folder = workspace.runs.get(run_id).folder
        run, tell = workspace.runs.get(run_id), tee(workspace, run_id, reporter)
        if "model" in run.parameters:  # of batch scoring: the version that the name meant
            result = _score(workspace, run, tell)
        else:
            result = _result(_train(workspace, run, tell), folder)
        workspace.runs.update(run_id, status="Completed", result=result)
    return workspace.runs.get(run_id)


def _train(workspace: LocalWorkspace, run: Run, reporter: Reporter) -> Registered:
    from model_training.jobs.load import parse_job
    from model_training.pipeline import train_and_register

    asked = run.parameters
    published = workspace.endpoints.version(asked["endpoint"], int(asked["endpoint_version"]))
    template = parse_job(published.template, f"{published.endpoint} version {published.version}")
    if "budget_minutes" in asked:
        template = replace(template, budget_minutes=float(asked["budget_minutes"]))
    if "model_size" in asked:
        template = replace(template, overrides={**template.overrides, "model_size": asked["model_size"]})
    reporter(Event("message", f"{published.endpoint} version {published.version} on {asked['dataset']}"))
    return train_and_register(
        workspace,
        template,
        dataset_name=asked["dataset"],
        model_name=asked["model_name"],
        cluster=asked["cluster"],
        run_id=run.id,
        register=asked["register"],
        git_commit=published.git_commit,
        reporter=reporter,
    )


def _score(workspace: LocalWorkspace, run: Run, reporter: Reporter) -> Json:
    from model_training.batch_scoring import score_dataset

    asked = run.parameters
    made = score_dataset(
        workspace, dataset_name=asked["dataset"], model_name=asked["model"], run_id=run.id, reporter=reporter
    )
    return {**made.to_json(), "predictions": made.folder.relative_to(run.folder).as_posix()}


def _result(made: Registered, folder: Path) -> Json:
    decision = {"code": made.decision.code, "reason": made.decision.reason, "promote": made.decision.promote}
    result: dict[str, Any] = {"model": None, "version": None, "metrics": made.bundle.manifest.get("metrics", {})}
    if made.model is not None:
        result |= {"model": made.model.name, "version": made.model.version, "champion": made.model.champion}
    report = made.report.relative_to(folder).as_posix()  # the workspace may be moved
    return result | {"decision": decision, "dataset": made.dataset.reference, "report": report}
