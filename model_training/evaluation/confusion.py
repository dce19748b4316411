"""Which label is taken for which, and for the background. Knows nothing about plots or files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.matching import MATCH_IOU, greedy, overlaps
from model_training.evaluation.metrics import Threshold, threshold_of
from model_training.evaluation.truth import GroundTruth
from scoring.detections import Detections

BACKGROUND = "background"


@dataclass(frozen=True)
class Confusion:
    """`counts[i, j]`: objects that are `names[i]` and were taken for `names[j]`; the last name is the background.

    The last column counts missed objects, the last row false alarms; their corner is 0.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]


def confusion(
    truth: Sequence[GroundTruth],
    detections: Sequence[Detections],
    labels: Sequence[str],
    *,
    score_threshold: Threshold,
    iou: float = MATCH_IOU,
) -> Confusion:
    """Detections at or above the threshold are matched to objects whatever the labels, highest score first.

    What only covers a crowd region is left out, as are the crowds.
    """
    limits = np.array([threshold_of(score_threshold, label) for label in labels], np.float64)
    counts = np.zeros((len(labels) + 1, len(labels) + 1), np.int64)
    for real, found in zip(truth, detections, strict=True):
        kept = found.scores >= limits[found.labels]
        _count(counts, real, Detections(found.boxes[kept], found.scores[kept], found.labels[kept]), iou)
    return Confusion((*labels, BACKGROUND), counts)


def _count(counts: NDArray[np.int64], real: GroundTruth, found: Detections, iou: float) -> None:
    background = len(counts) - 1
    overlap = overlaps(found.boxes, real.boxes, real.crowd)
    alarms: NDArray[np.bool_] = np.logical_not((overlap[:, real.crowd] >= iou).any(axis=1))
    missed: NDArray[np.bool_] = np.logical_not(real.crowd)
    overlap[:, real.crowd] = -1.0
    for detection, thing in greedy(overlap, found.scores, iou=iou):
        counts[real.labels[thing], found.labels[detection]] += 1
        alarms[detection] = False
        missed[thing] = False
    np.add.at(counts[:, background], real.labels[missed], 1)
    np.add.at(counts[background], found.labels[alarms], 1)
