"""COCO's average precision by hotcoco, which no other file of this package imports. Undefined is None."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.truth import GroundTruth
from scoring.detections import Detections

Floats = NDArray[np.float64]

MAX_DETECTIONS = 100  # for each label and image, COCO's own number


@dataclass(frozen=True)
class CocoSummary:
    """AP at IoU .50:.05:.95 (`ap`), at one IoU, by area in pixels (small < 32², large > 96²), and of each label."""

    ap: float | None
    ap50: float | None
    ap75: float | None
    small: float | None
    medium: float | None
    large: float | None
    per_label: tuple[float | None, ...]


def coco_summary(truth: Sequence[GroundTruth], detections: Sequence[Detections], classes: int) -> CocoSummary:
    if not any((~t.crowd).any() for t in truth):  # also what the library refuses: no image, no object
        return CocoSummary(None, None, None, None, None, None, (None,) * classes)
    precision = _precision(truth, detections, classes)  # iou (10), recall (101), label, area (4), detections (3)
    every = precision[:, :, :, 0, -1]
    return CocoSummary(
        ap=_mean(every),
        ap50=_mean(every[0]),
        ap75=_mean(every[5]),
        small=_mean(precision[:, :, :, 1, -1]),
        medium=_mean(precision[:, :, :, 2, -1]),
        large=_mean(precision[:, :, :, 3, -1]),
        per_label=tuple(_mean(every[:, :, label]) for label in range(classes)),
    )


def _mean(values: Floats) -> float | None:
    defined = values[values > -1]  # the library's word for "no object"
    return float(defined.mean()) if defined.size else None


def _precision(truth: Sequence[GroundTruth], detections: Sequence[Detections], classes: int) -> Floats:
    from hotcoco import COCO, COCOeval

    expected = COCO.from_arrays(
        [{"id": i + 1, "width": t.width, "height": t.height} for i, t in enumerate(truth)],
        [{"id": label + 1, "name": str(label)} for label in range(classes)],
        np.repeat(np.arange(1, len(truth) + 1), [len(t.labels) for t in truth]),
        np.concatenate([t.labels for t in truth]) + 1,
        np.concatenate([_pixels(t.boxes, t) for t in truth]),
        iscrowd=np.concatenate([t.crowd for t in truth]).astype(np.int64),
    )
    evaluation = COCOeval(expected, expected.load_res(_table(truth, detections)), "bbox")
    evaluation.params.max_dets = [1, 10, MAX_DETECTIONS]
    evaluation.evaluate()
    evaluation.accumulate()
    precision: Floats = (evaluation.eval or {})["precision"]
    return precision


def _table(truth: Sequence[GroundTruth], detections: Sequence[Detections]) -> Floats:
    """Rows of image, x, y, width, height, score, label: the library's own array form."""
    table = np.empty((sum(len(d) for d in detections), 7))
    table[:, 0] = np.repeat(np.arange(1, len(truth) + 1), [len(d) for d in detections])
    table[:, 1:5] = np.concatenate([_pixels(d.boxes, t) for d, t in zip(detections, truth, strict=True)])
    table[:, 5] = np.concatenate([d.scores for d in detections])
    table[:, 6] = np.concatenate([d.labels for d in detections]) + 1
    return table


def _pixels(boxes: NDArray[np.float32], image: GroundTruth) -> Floats:
    """Left, top, width, height in pixels of the original image."""
    scaled = boxes.astype(np.float64) * [image.width, image.height, image.width, image.height]
    return np.concatenate([scaled[:, :2], scaled[:, 2:] - scaled[:, :2]], axis=1)
