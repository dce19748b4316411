"""What a detector says about one image, as arrays. Knows nothing about files, models or HTTP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detections:
    """Boxes of one image, sorted by score, highest first.

    `boxes` (n, 4) float32: left, top, right, bottom as fractions in [0, 1] of the image after its EXIF
    orientation is applied. `scores` (n,) float32 in [0, 1]. `labels` (n,) int64, index into the model's labels.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, threshold: float) -> Detections:
        """Those with a score of at least `threshold`, in the same order."""
        keep = self.scores >= threshold
        return Detections(self.boxes[keep], self.scores[keep], self.labels[keep])

    @staticmethod
    def none() -> Detections:
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
