"""A job file run in a local workspace: data resolved, a run that can be resumed, the sweep, the best trial as a bundle.

Registers nothing: that is the pipeline's. Prints nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from model_training.evaluation.report import write_report
from model_training.jobs.data import JobData, resolve_data
from model_training.jobs.explain import hyperparameter_settings, job_settings
from model_training.jobs.spec import JobSpec
from model_training.packaging.bundle import Source, make_bundle
from model_training.provenance import git_commit
from model_training.workspaces.base import BestTrial, Bundle, Event, Json, Reporter, Run, silent
from model_training.workspaces.local.execution import recorded, tee
from scoring.files import write_bytes, write_json

if TYPE_CHECKING:
    from model_training.workspaces.local import LocalWorkspace


@dataclass(frozen=True)
class Asked:
    """What is asked for beside the job: where its relative paths start, what to test on, whether to begin anew."""

    job: JobSpec  # with the run's own limits and budget
    folder: Path
    test_data: str = ""
    new: bool = False


@dataclass(frozen=True)
class Finished:
    run: Run
    best: BestTrial
    bundle: Bundle


def prepare(workspace: LocalWorkspace, asked: Asked) -> JobData:
    """Everything that can be found wrong before anything is spent. Raises: NotFoundError, DataError."""
    return resolve_data(asked.job, asked.folder, workspace, asked.test_data)


def open_run(workspace: LocalWorkspace, asked: Asked, data: JobData) -> Run:
    """A new run, or the one that the same job on the same data began and did not finish."""
    job = asked.job
    parameters = {
        "training_data": job.training_data,
        "validation_data": job.validation_data,
        "test_data": asked.test_data,
        "dataset": data.dataset.reference if data.dataset else "",
        "budget_minutes": f"{job.budget_minutes:g}" if job.budget_minutes else "",
        "budget_cpu_seconds": f"{job.budget_cpu_seconds:g}" if job.budget_cpu_seconds else "",
        "max_trials": str(job.limits.max_trials),
        "defaults": job.defaults,
    }
    same = json.dumps([job.source, data.sha256, sorted(parameters.items())])
    fingerprint = hashlib.sha256(same.encode()).hexdigest()
    unfinished = None if asked.new else workspace.runs.resumable(fingerprint)
    if unfinished:
        return workspace.runs.reopen(unfinished.id)
    kept = {key: value for key, value in parameters.items() if value}
    experiment = job.experiment_name or "jobs"
    return workspace.runs.create(kind="job", experiment=experiment, parameters=kept, fingerprint=fingerprint)


def run_job(workspace: LocalWorkspace, asked: Asked, data: JobData, run: Run, reporter: Reporter = silent) -> Finished:
    """Do the work of the run. Raises what the sweep and the packaging raise, after it is in the run's record."""
    with workspace.runs.own(run.id), recorded(workspace, run.id):
        workspace.runs.update(run.id, status="Running")
        tell = tee(workspace, run.id, reporter)
        job = replace(asked.job, data=data.paths(run.folder / "data"))
        _keep_settings(job, run.folder)
        tell(Event("stage", f"train on {len(data.train.rows)} images, choose on {len(data.validation.rows)}"))
        best = workspace.automl.run(job, "local", folder=run.folder / "sweep", reporter=tell)
        bundle = _package(best, data, asked, run, tell)
        page = _report(best, bundle, data, asked, run)
        workspace.runs.update(run.id, status="Completed", result=_result(best, bundle, page, run))
    return Finished(workspace.runs.get(run.id), best, bundle)


def _package(best: BestTrial, data: JobData, asked: Asked, run: Run, reporter: Reporter) -> Bundle:
    part = "test" if data.test else "validation"
    reporter(Event("stage", f"package the best trial as ONNX and measure that file on the {part} images"))
    assert best.job.data is not None
    return make_bundle(
        best.best,
        labels=data.labels,
        validation=best.job.data.validation,
        test=_test_part(data, run),
        source=Source(
            name=asked.job.experiment_name or "job",
            dataset_name=data.dataset.name if data.dataset else asked.job.training_data,
            dataset_version=str(data.dataset.version) if data.dataset else "",
            dataset_sha256=data.dataset.sha256 if data.dataset else data.sha256,
            split_sha256=data.sha256,
            run_id=run.id,
            git_commit=git_commit(asked.folder),
            seed=int(best.best.hyperparameters.get("random_seed") or best.job.seed),
        ),
        folder=run.folder / "bundle",
        reporter=reporter,
    )


def _test_part(data: JobData, run: Run) -> Path | None:
    return data.test.written(run.folder / "data" / "test.jsonl") if data.test else None


def _report(best: BestTrial, bundle: Bundle, data: JobData, asked: Asked, run: Run) -> Path:
    """The page about the part that was measured."""
    assert best.job.data is not None
    part = _test_part(data, run) or best.job.data.validation
    return write_report(bundle, best, part, run.folder / "report", title=asked.job.experiment_name or "job")


def _keep_settings(job: JobSpec, folder: Path) -> None:
    """The job's text and its settings as they were resolved lie in the run's folder."""
    write_bytes(folder / "job.yml", job.source.encode())
    settings = {entry.name: {"value": entry.value, "from": entry.source} for entry in hyperparameter_settings(job)}
    write_json(folder / "settings.json", {**job_settings(job), "hyperparameters": settings})


def _result(best: BestTrial, bundle: Bundle, page: Path, run: Run) -> Json:
    return {
        "metrics": bundle.manifest["metrics"],
        "best_trial": best.best.number + 1,
        "paths": {
            "bundle": str(bundle.path),
            "report": str(page),
            "leaderboard": str(best.folder / "leaderboard.json"),
            "run": str(run.folder),
        },
    }
