"""The AutoML part of a local workspace: a job's sweep on this machine, its trials recorded for MLflow's leaderboard.

Knows nothing about sampling or training (`sweep/`, `training/`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from model_training.jobs.spec import JobSpec
from model_training.workspaces.base import BestTrial, Event, Reporter, Run, TrialResult, silent
from model_training.workspaces.local.clusters import Cluster, check_cluster, clusters
from model_training.workspaces.local.layout import Layout
from model_training.workspaces.local.mlflow_store import Tracking
from model_training.workspaces.local.run_files import plain
from model_training.workspaces.local.runs import LocalRuns


class LocalAutoML:
    def __init__(self, layout: Layout, runs: LocalRuns, tracking: Tracking) -> None:
        self._layout = layout
        self._runs = runs
        self._tracking = tracking

    def check(self, cluster: str) -> None:
        check_cluster(cluster)

    def clusters(self) -> tuple[Cluster, ...]:
        return clusters()

    def run(self, job: JobSpec, cluster: str, *, folder: Path, reporter: Reporter = silent) -> BestTrial:
        """The sweep, going on from what `folder` holds. Inside a run's folder it is cancelled with that run.

        Raises: NotFoundError (cluster), TrainingError, CancelledError.
        """
        from model_training.sweep.controller import run_sweep

        check_cluster(cluster)
        run_id = self._runs.containing(folder)
        cancelled: Callable[[], bool] = self._runs.cancelled(run_id) if run_id else _never
        best = run_sweep(job, folder=folder, reporter=reporter, cancelled=cancelled)
        if run_id:
            reporter(Event("message", "record the trials for `mlflow ui`"))
            self.record_sweep(best, self._runs.get(run_id))
        return best

    def record_sweep(self, best: BestTrial, run: Run) -> None:
        """A parent run and a child run a trial, with parameters and metrics by epoch. Repeating changes nothing."""
        with self._layout.lock.hold():
            parent = self._tracking.ensure_run(run.id, run.experiment, run.parameters)
            for trial in best.leaderboard:
                self._tracking.put_trial(
                    run.experiment,
                    run.id,
                    trial.number,
                    params={"model_name": trial.algorithm, **trial.hyperparameters},
                    metrics=list(_history(trial)),
                    tags={
                        "status": trial.status,
                        "reason": trial.reason,
                        "best": str(trial.number == best.best.number),
                    },
                    history=_text(trial.folder / "metrics.jsonl"),
                )
            winner = best.best
            numbers = {f"best_{name}": value for name, value in _own(winner)}
            self._tracking.log(parent, {"best_trial": str(winner.number + 1)}, numbers)
            self._tracking.put_file(parent, "leaderboard.json", json.dumps(plain(best.leaderboard), indent=1))
            self._tracking.put_file(parent, "job.yml", best.job.source)

    def end_run(self, run: Run) -> None:
        """Tell MLflow how a run ended, if this process has told it about a run at all (its import costs seconds)."""
        if self._tracking.opened:
            with self._layout.lock.hold():
                self._tracking.end_run(self._tracking.ensure_run(run.id, run.experiment, {}), run.status)


def _never() -> bool:
    return False


def _history(trial: TrialResult) -> Iterator[tuple[str, float, int]]:
    """Every epoch's numbers, then those of the epoch whose weights were kept (what the leaderboard sorts by)."""
    for report in _reports(trial.folder / "metrics.jsonl"):
        epoch = int(report.get("epoch", 0))
        values = {"loss": report.get("loss"), "learning_rate": report.get("learning_rate")}
        measured = report.get("metrics") or {}
        values |= {f"epoch_{name}": value for name, value in measured.items()}
        yield from ((name, number, epoch) for name, number in _numbers(values))
    yield from ((name, number, trial.best_epoch) for name, number in _own(trial))


def _own(trial: TrialResult) -> list[tuple[str, float]]:
    return _numbers({**trial.metrics, "epochs": trial.epochs, "cpu_seconds": trial.cpu_seconds})


def _numbers(values: dict[str, Any]) -> list[tuple[str, float]]:
    plain = {name: value for name, value in values.items() if isinstance(value, int | float)}
    return [(name, float(value)) for name, value in plain.items() if math.isfinite(value)]


def _reports(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a trial's metrics.jsonl; a last line that a kill cut off is left out."""
    for line in _text(path).splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
