"""The messages of /score: requests to image bytes, detections to the answer. Pure; knows nothing about HTTP or files.

Rounding: box sides to 6 decimals, scores to 4; rounding never changes the order, which is by score, highest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scoring.detections import Detections
from scoring.errors import CvaError, ImageError

BOX_DECIMALS, SCORE_DECIMALS = 6, 4
_SIDES = ("topX", "topY", "bottomX", "bottomY")


def to_element(filename: str, found: Detections, labels: Sequence[str]) -> dict[str, Any]:
    """One image's element of the answer; no result is `"boxes": []`."""
    order = sorted(range(len(found)), key=lambda i: -float(found.scores[i]))
    return {"filename": filename, "boxes": [_to_box(found, i, labels) for i in order]}


def to_error_element(filename: str, error: CvaError) -> dict[str, Any]:
    """The element of an image that could not be scored: it keeps its place and says why."""
    code = error.code if isinstance(error, ImageError) else "not_found"
    return {"filename": filename, "boxes": [], "error": {"code": code, "message": error.message}}


def _to_box(found: Detections, index: int, labels: Sequence[str]) -> dict[str, Any]:
    sides = (round(float(value), BOX_DECIMALS) for value in found.boxes[index])
    return {
        "box": dict(zip(_SIDES, sides, strict=True)),
        "label": labels[int(found.labels[index])],
        "score": round(float(found.scores[index]), SCORE_DECIMALS),
    }
