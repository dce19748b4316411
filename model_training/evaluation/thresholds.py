"""The operating threshold: which score a detection needs to be shown. Chosen on validation data, one a label.

Rule (docs/decisions/0004-operating-threshold.md): the lowest threshold whose F1 at IoU .5 is at least 1 - `PLATEAU`
of the label's best. Between two scores it lies halfway, so that no detection stands on it. A label that validation says
nothing about (no object, or none found) takes the overall threshold; if that is not known either, `UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_training.evaluation.matching import Floats, Ranking, pool, rank
from model_training.evaluation.truth import GroundTruth
from scoring.detections import Detections

PLATEAU = 0.02  # share of the best F1 given up for recall; under the noise of a hundred validation images
RULE = f"lowest score within {PLATEAU:.0%} of the label's best F1 on validation"
FLOOR = 0.001  # the lowest score a detector hands out for measuring
UNKNOWN = 0.25  # no object in the whole validation part: a common detector's default


@dataclass(frozen=True)
class Thresholds:
    """`per_label` in the labels' order, for serving; `overall` is the one number for those who want one."""

    overall: float
    per_label: dict[str, float]


def choose(truth: Sequence[GroundTruth], detections: Sequence[Detections], labels: Sequence[str]) -> Thresholds:
    """The operating thresholds for this data; detections must go down to `FLOOR`."""
    return choose_from(rank(truth, detections, len(labels)), labels)


def choose_from(rankings: Sequence[Ranking], labels: Sequence[str]) -> Thresholds:
    overall = _best(pool(rankings))
    if overall is None:
        overall = UNKNOWN
    own = [_best(ranking) for ranking in rankings]
    return Thresholds(
        overall, {label: overall if best is None else best for label, best in zip(labels, own, strict=True)}
    )


def _best(ranking: Ranking) -> float | None:
    """None when no threshold finds any object."""
    if not ranking.hits.any():
        return None
    scores, f1 = f1_by_score(ranking)
    chosen = int(np.flatnonzero(f1 >= f1.max() * (1 - PLATEAU))[-1])
    below = scores[chosen + 1] if chosen + 1 < len(scores) else min(FLOOR, scores[chosen])
    return _between(float(below), float(scores[chosen]))


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
