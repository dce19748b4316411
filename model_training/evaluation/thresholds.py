"""The operating threshold: which score a detection needs to be shown. Chosen on validation data, one a label.

Rule (docs/decisions/0004-operating-threshold.md): the lowest threshold whose F1 at IoU .5 is within a tolerance of the
label's best. The tolerance, one for all labels, is the smallest of `TOLERANCES` with which the mean average precision
of what is shown stays within `KEPT` of that of everything. A threshold lies halfway between two scores, so that no
detection stands on it. A label that validation says nothing about (no object, or none found) takes the overall
threshold, chosen in the same way for all labels together; if that is not known either, `UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_training.evaluation.average_precision import average_precision
from model_training.evaluation.matching import Floats, Ranking, pool, rank
from model_training.evaluation.truth import GroundTruth
from scoring.detections import Detections

TOLERANCES = tuple(round(0.01 * percent, 2) for percent in range(2, 11))  # shares of the best F1
KEPT = 0.015  # mean average precision on validation that may be lost below the thresholds
FLOOR = 0.001  # the lowest score a detector hands out for measuring
UNKNOWN = 0.25  # no object in the whole validation part: a common detector's default
RULE = "lowest score near the label's best F1 on validation that keeps the average precision"


@dataclass(frozen=True)
class Thresholds:
    """`per_label` in the labels' order, for serving; `overall` is the one number for those who want one."""

    overall: float
    per_label: dict[str, float]
    tolerance: float  # share of the best F1 that was given up at most


def choose(truth: Sequence[GroundTruth], detections: Sequence[Detections], labels: Sequence[str]) -> Thresholds:
    """The operating thresholds for this data; detections must go down to `FLOOR`."""
    return choose_from(rank(truth, detections, len(labels)), labels)


def choose_from(rankings: Sequence[Ranking], labels: Sequence[str]) -> Thresholds:
    together = pool(rankings)
    for tolerance in TOLERANCES:
        overall = _lowest(together, tolerance)
        own = [_lowest(ranking, tolerance) for ranking in rankings]
        if _loss(rankings, own) <= KEPT:
            break
    common = UNKNOWN if overall is None else overall
    chosen = {label: common if best is None else best for label, best in zip(labels, own, strict=True)}
    return Thresholds(common, chosen, tolerance)


def _lowest(ranking: Ranking, tolerance: float) -> float | None:
    """None when no threshold finds any object."""
    if not ranking.hits.any():
        return None
    scores, f1 = f1_by_score(ranking)
    chosen = int(np.flatnonzero(f1 >= f1.max() * (1 - tolerance))[-1])
    below = scores[chosen + 1] if chosen + 1 < len(scores) else min(FLOOR, scores[chosen])
    return _between(float(below), float(scores[chosen]))


def _loss(rankings: Sequence[Ranking], thresholds: Sequence[float | None]) -> float:
    """Mean average precision below the thresholds, over the labels that have one."""
    losses = [
        (average_precision(ranking) or 0.0) - (average_precision(ranking, threshold=threshold) or 0.0)
        for ranking, threshold in zip(rankings, thresholds, strict=True)
        if threshold is not None
    ]
    return sum(losses) / len(losses) if losses else 0.0


def f1_by_score(ranking: Ranking) -> tuple[Floats, Floats]:
    """Distinct scores, falling, and the F1 of showing everything at or above each. Needs at least one object."""
    scores, index = np.unique(-ranking.scores, return_index=True)
    kept = np.append(index[1:], len(ranking.scores))  # detections at or above each distinct score
    found = np.cumsum(ranking.hits)[kept - 1]
    return -scores, 2 * found / (kept + ranking.truth)


def _between(low: float, high: float) -> float:
    """Halfway, in as few digits as still separate the two."""
    middle = (low + high) / 2
    for digits in range(2, 8):
        if low < (rounded := round(middle, digits)) <= high:
            return rounded
    return high if middle <= low else middle
