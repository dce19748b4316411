"""What is really on one image, as arrays: the counterpart of `scoring.detections`. Knows no files and no models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.data.rows import Row


@dataclass(frozen=True)
class GroundTruth:
    """Labelled boxes of one image.

    `boxes` (n, 4) float32: left, top, right, bottom as fractions of the image. `labels` (n,) int64, index into the
    model's labels. `crowd` (n,) bool: a region of many objects, where detections count neither for nor against.
    `width` and `height` are the original image's pixels: the area ranges of COCO are stated in them.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    width: int
    height: int


def ground_truth(row: Row, index: Mapping[str, int], *, width: int, height: int) -> GroundTruth:
    """A labelled row as arrays; boxes whose label is not in `index` are left out (the caller checks labels first)."""
    known = [box for box in row.boxes if box.label in index]
    corners = [(box.top_x, box.top_y, box.bottom_x, box.bottom_y) for box in known]
    return GroundTruth(
        boxes=np.array(corners, np.float32).reshape(-1, 4),
        labels=np.array([index[box.label] for box in known], np.int64),
        crowd=np.array([box.is_crowd for box in known], np.bool_),
        width=width,
        height=height,
    )
