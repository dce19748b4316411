"""What a sweep tells while it runs, as one line of text and the same as numbers. Prints nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from model_training.training.spec import EpochReport
from model_training.workspaces.base import Event, Reporter, TrialResult

SHORT = {"mean_average_precision": "mAP"}
COURSE = ("trial_started", "epoch", "progress", "trial_ended", "message")


def duration(seconds: float) -> str:
    """1:02:03, or 2:03 under an hour."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def trial_name(number: int, trials: int) -> str:
    """`trial 2/10`, counted from 1 for people."""
    return f"trial {number + 1}/{trials}"


def heard(reporter: Reporter, verbosity: str) -> Reporter:
    """The reporter as the job's `log_verbosity` wants it: above `info` the course of trials is not told."""
    if verbosity not in ("warning", "error", "critical"):
        return reporter
    return lambda event: None if event.kind in COURSE else reporter(event)


def epoch_event(number: int, trials: int, report: EpochReport, metric: str) -> Event:
    """One finished epoch."""
    value = (report.metrics or {}).get(metric)
    parts = [
        trial_name(number, trials),
        f"epoch {report.epoch}/{report.epochs}",
        f"loss {report.loss:.2f}",
        *([f"{SHORT.get(metric, metric)} {value:.3f}"] if value is not None else []),
        f"{report.images_per_second:.0f} images/s",
        f"{duration(report.seconds_left)} left",
    ]
    numbers = {
        "trial": number,
        "trials": trials,
        "epoch": report.epoch,
        "epochs": report.epochs,
        "loss": _finite(report.loss),
        "learning_rate": report.learning_rate,
        "images_per_second": report.images_per_second,
        "seconds_left": report.seconds_left,
        "cpu_seconds": report.cpu_seconds,
        "seconds": report.seconds,
        "metric": metric,
        "value": value,
    }
    return Event("epoch", "  ".join(parts), numbers)


def step_event(number: int, trials: int, progress: Mapping[str, Any]) -> Event:
    """Somewhere within an epoch."""
    text = (
        f"{trial_name(number, trials)}  epoch {progress['epoch']}/{progress['epochs']}  "
        f"step {progress['step']}/{progress['steps']}  loss {progress['loss']:.2f}  "
        f"{progress['images_per_second']:.0f} images/s  {duration(progress['seconds_left'])} left"
    )
    return Event("progress", text, {"trial": number, "trials": trials, **progress})


def started_event(number: int, trials: int, values: Mapping[str, Any], *, resumed: bool) -> Event:
    shown = "  ".join(f"{key} {_short(value)}" for key, value in values.items())
    text = f"{trial_name(number, trials)}  {'goes on' if resumed else 'starts'}  {shown}".rstrip()
    return Event("trial_started", text, {"trial": number, "trials": trials, "resumed": resumed, **values})


def ended_event(result: TrialResult, trials: int, metric: str) -> Event:
    value = result.metrics.get(metric)
    parts = [trial_name(result.number, trials), result.status]
    if value is not None:
        parts.append(f"{SHORT.get(metric, metric)} {value:.3f} at epoch {result.best_epoch}")
    if result.reason:
        parts.append(f"({result.reason})")
    data = {"trial": result.number, "status": result.status, "value": value, "reason": result.reason}
    return Event("trial_ended", "  ".join(parts), data)


def leaderboard_rows(leaderboard: Sequence[TrialResult], metric: str, searched: Sequence[str]) -> list[dict[str, Any]]:
    """One row a trial, best first: what it was given and how it ended."""
    return [
        {
            "trial": result.number + 1,
            SHORT.get(metric, metric): result.metrics.get(metric),
            "status": result.status,
            **{key: {"model_name": result.algorithm, **result.hyperparameters}.get(key) for key in searched},
            "epochs": result.epochs,
            "cpu_seconds": round(result.cpu_seconds, 1),
            "reason": result.reason,
        }
        for result in leaderboard
    ]


def leaderboard_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as aligned columns, the reasons last."""
    header = list(rows[0])
    lines = [header, *([_short(row[key]) for key in header] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
