"""Precision against recall, and precision, recall and F1 against the threshold, as arrays. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_training.evaluation.average_precision import average_precision
from model_training.evaluation.matching import Floats, Ranking, pool, rank
from model_training.evaluation.metrics import Threshold, threshold_of
from model_training.evaluation.truth import GroundTruth
from scoring.detections import Detections

ALL = "all labels"
POINTS = 200  # of a curve by threshold


@dataclass(frozen=True)
class Curve:
    """One label's curves (or all labels' together, name `ALL`).

    `recall` rises; `precision` is the envelope that average precision integrates. `thresholds` are evenly spaced in
    [0, 1], `f1` is at each. `operating` is the threshold in use, None where each label has its own. A label without
    objects has empty arrays and `average_precision` None.
    """

    name: str
    recall: Floats
    precision: Floats
    thresholds: Floats
    f1: Floats
    average_precision: float | None
    operating: float | None


def curves(
    truth: Sequence[GroundTruth],
    detections: Sequence[Detections],
    labels: Sequence[str],
    *,
    score_threshold: Threshold,
) -> list[Curve]:
    """One curve a label, in the labels' order, and one of all labels last."""
    rankings = rank(truth, detections, len(labels))
    each = [
        _curve(label, ranking, threshold_of(score_threshold, label))
        for label, ranking in zip(labels, rankings, strict=True)
    ]
    common = float(score_threshold) if isinstance(score_threshold, int | float) else None
    return [*each, _curve(ALL, pool(rankings), common)]


def _curve(name: str, ranking: Ranking, operating: float | None) -> Curve:
    empty = np.zeros(0)
    if ranking.truth == 0:
        return Curve(name, empty, empty, empty, empty, None, operating)
    found = np.concatenate([[0], np.cumsum(ranking.hits)])  # by number of detections kept, from none
    kept = np.arange(len(found))
    precision = found[1:] / kept[1:]
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    thresholds = np.linspace(0, 1, POINTS + 1)
    above = np.searchsorted(-ranking.scores, -thresholds, side="right")
    return Curve(
        name=name,
        recall=found[1:] / ranking.truth,
        precision=envelope,
        thresholds=thresholds,
        f1=2 * found[above] / (above + ranking.truth),
        average_precision=average_precision(ranking),
        operating=operating,
    )
