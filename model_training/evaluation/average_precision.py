"""Area under a precision-recall curve, and precision, recall and F1 at a threshold. Undefined is None."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_training.evaluation.matching import Ranking


@dataclass(frozen=True)
class Counts:
    """What lies above a threshold: detections that found an object, all detections, and all objects there were."""

    found: int
    predictions: int
    truth: int

    @property
    def precision(self) -> float | None:
        """None when nothing was predicted."""
        return self.found / self.predictions if self.predictions else None

    @property
    def recall(self) -> float | None:
        """None when there was nothing to find."""
        return self.found / self.truth if self.truth else None

    @property
    def f1(self) -> float | None:
        """None when there was nothing to find; 0 when there was and nothing was found."""
        return 2 * self.found / (self.predictions + self.truth) if self.truth else None

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.found + other.found, self.predictions + other.predictions, self.truth + other.truth)


def counts_at(ranking: Ranking, threshold: float) -> Counts:
    """Counts of the detections that score at least `threshold`."""
    kept = int(np.searchsorted(-ranking.scores, -threshold, side="right"))
    return Counts(int(ranking.hits[:kept].sum()), kept, ranking.truth)


def average_precision(ranking: Ranking, *, threshold: float = 0.0) -> float | None:
    """VOC: the area under the precision envelope at every recall, of detections at or above `threshold`.

    None when there is no object of this label; 0 when there are objects and no detection.
    """
    if ranking.truth == 0:
        return None
    kept = int(np.searchsorted(-ranking.scores, -threshold, side="right"))
    hits = ranking.hits[:kept]
    found = np.cumsum(hits)
    precision = found / np.arange(1, kept + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / ranking.truth)  # recall rises by 1 / truth at each hit


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of the defined ones; None when none is."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
