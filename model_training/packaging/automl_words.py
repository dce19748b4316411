"""What the service says of a model in its own words: its settings, and its numbers on its validation images.

Texts where numbers are meant, -1 and NaN where nothing was there: what comes out is plain. Knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from model_training.workspaces.base import Json

# the job's names and those of the older SDK, which the service still writes
SCORE = ("box_score_threshold", "box_score_thresh")
OVERLAP = ("nms_iou_threshold", "box_nms_thresh", "box_iou_thresh")
BEST = ("box_detections_per_image", "box_detections_per_img")
SIDE = ("image_size", "img_size")

PER_LABEL_NUMBERS = ("average_precision", "precision", "recall")
MAX_TEXT = 200

Words = Mapping[str, Any]


def setting(known: Sequence[Words], names: Sequence[str], default: float, low: float, high: float) -> float:
    """The first that is a number in its range; the service writes some of them as texts."""
    for words in known:
        for name in names:
            value = _number(words.get(name))
            if value is not None and low <= value <= high:
                return value
    return default


def own_numbers(metrics: Words, per_label: Words, labels: Sequence[str]) -> Json:
    """`metrics` and `per_label` of the manifest's `automl`; what is undefined is left out."""
    inner = per_label.get("per_label_metrics")
    rows = inner if isinstance(inner, Mapping) else per_label
    return {
        "metrics": {name: number for name, value in metrics.items() if (number := _measured(value)) is not None},
        "per_label": {label: _three(rows[label]) for label in labels if isinstance(rows.get(label), Mapping)},
    }


def scalars(words: Words) -> Json:
    """What can stand in JSON as it is: no lists, no long texts, no number that is none."""
    return {str(name): value for name, value in words.items() if _plain(value)}


def _three(row: Words) -> Json:
    return {name: number for name in PER_LABEL_NUMBERS if (number := _measured(row.get(name))) is not None}


def _measured(value: Any) -> float | None:
    number = None if isinstance(value, str) else _number(value)
    return None if number is None or number < 0 else number


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return value is None or isinstance(value, bool) or _number(value) is not None
