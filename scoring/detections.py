"""What a detector says about one image, as arrays and as plain numbers. Knows nothing about files, models or HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Row(NamedTuple):
    """One box: left, top, right, bottom as fractions in [0, 1]; its label is an index into the model's."""

    score: float
    label: int
    box: Sequence[float]


class Detections:
    """Boxes of one image, sorted by score, highest first.

    `boxes` (n, 4) float32: left, top, right, bottom as fractions in [0, 1] of the image after its EXIF
    orientation is applied. `scores` (n,) float32 in [0, 1]. `labels` (n,) int64, index into the model's labels.
    `rows` are the same as plain numbers. Whichever it was not made of is made when it is first asked for.
    """

    def __init__(self, boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        self.boxes, self.scores, self.labels = boxes, scores, labels

    @classmethod
    def of(cls, rows: list[Row]) -> Detections:
        """Of rows that are sorted by score, highest first."""
        found = cls.__new__(cls)
        found.rows = rows
        return found

    @cached_property
    def rows(self) -> list[Row]:
        return list(map(Row, self.scores.tolist(), self.labels.tolist(), self.boxes.tolist()))

    @cached_property
    def boxes(self) -> NDArray[np.float32]:
        return np.array([row.box for row in self.rows], np.float32).reshape(-1, 4)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        return np.array([row.score for row in self.rows], np.float32)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        return np.array([row.label for row in self.rows], np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def above(self, threshold: float) -> Detections:
        """Those with a score of at least `threshold`, in the same order."""
        keep = self.scores >= threshold
        return Detections(self.boxes[keep], self.scores[keep], self.labels[keep])

    @staticmethod
    def none() -> Detections:
        return Detections.of([])
