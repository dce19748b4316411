"""How one trial learned, epoch by epoch, from the reports in its folder. Draws nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class History:
    """`loss` and `metric` are (epoch, value) pairs; epochs that were not evaluated, or not defined, have no metric."""

    name: str
    loss: tuple[tuple[int, float], ...]
    metric: tuple[tuple[int, float], ...]


def read_history(folder: Path, name: str, metric: str = "mean_average_precision") -> History:
    """From `metrics.jsonl`; empty where there is none. Of an epoch that was reported twice the later counts."""
    reports: dict[int, dict[str, Any]] = {}
    for line in _lines(folder / "metrics.jsonl"):
        try:
            report = json.loads(line)
        except json.JSONDecodeError:
            continue  # the last line of a trial that was killed while writing it
        reports[int(report["epoch"])] = report
    ordered = sorted(reports.items())
    values = ((epoch, (report.get("metrics") or {}).get(metric)) for epoch, report in ordered)
    return History(
        name,
        loss=tuple((epoch, float(report["loss"])) for epoch, report in ordered if report.get("loss") is not None),
        metric=tuple((epoch, float(value)) for epoch, value in values if value is not None),
    )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
