"""Who won a sweep: the leaderboard, the best trial, or the error when there is none. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from model_training.jobs.spec import JobSpec
from model_training.sweep.progress import SHORT, leaderboard_rows, leaderboard_text
from model_training.workspaces.base import BestTrial, Event, Reporter, TrialResult
from scoring.errors import TrainingError
from scoring.files import write_json


def leaderboard(results: Mapping[int, TrialResult], metric: str) -> list[TrialResult]:
    """Best first; an undefined metric after every number, a trial without weights last; ties by number."""

    def key(result: TrialResult) -> tuple[bool, bool, float, int]:
        value = result.metrics.get(metric)
        return (result.weights is None, value is None, -(value or 0.0), result.number)

    return sorted(results.values(), key=key)


def best_trial(
    job: JobSpec, results: Mapping[int, TrialResult], folder: Path, reporter: Reporter, end_reason: str
) -> BestTrial:
    """The winner with the leaderboard, which is told and written to leaderboard.json.

    Raises: TrainingError when every trial failed or none finished an epoch.
    """
    assert job.data is not None
    ranked = leaderboard(results, job.primary_metric)
    if not ranked or ranked[0].weights is None:
        raise _nothing(ranked, job, end_reason)
    best = ranked[0]
    announce(job, ranked, folder, reporter)
    return BestTrial(best, tuple(ranked), job, job.data.labels, folder)


def announce(job: JobSpec, ranked: Sequence[TrialResult], folder: Path, reporter: Reporter) -> None:
    """Tell the leaderboard, the best first, and write it to leaderboard.json."""
    best = ranked[0]
    rows = leaderboard_rows(ranked, job.primary_metric, searched(job))
    write_json(folder / "leaderboard.json", rows)
    value = best.metrics.get(job.primary_metric)
    shown = "undefined" if value is None else f"{value:.3f}"
    name = SHORT.get(job.primary_metric, job.primary_metric)
    text = f"{leaderboard_text(rows)}\nbest of {len(ranked)}: trial {best.number + 1} with {name} {shown}"
    reporter(Event("leaderboard", text, {"metric": job.primary_metric, "trials": rows}))


def searched(job: JobSpec) -> list[str]:
    """The hyperparameters in which trials differ."""
    several: set[str] = set()
    for space in job.search_spaces:
        several |= {name for name, range_ in space.items() if range_.kind != "fixed" and len(range_.values) != 1}
    if len({name for space in job.search_spaces for name in space["model_name"].values}) > 1:
        several.add("model_name")
    return sorted(several - set(job.overrides))


def _nothing(ranked: list[TrialResult], job: JobSpec, end_reason: str) -> TrainingError:
    failed = sorted((result for result in ranked if result.status == "failed"), key=lambda result: result.number)
    if failed:
        first = failed[0]
        log = str(first.folder / "log.txt")
        which = "every trial failed" if len(failed) == len(ranked) else f"{len(failed)} of {len(ranked)} trials failed"
        return TrainingError(f"{which}; the first said: {first.reason}", hint=f"its log is {log}", log=log)
    return TrainingError(
        f"no trial finished an evaluated epoch: {end_reason}",
        hint="give more time (timeout_minutes, --budget-minutes), or take a smaller image_size or model_size",
        log=str(ranked[0].folder / "log.txt") if ranked else "",
    )
