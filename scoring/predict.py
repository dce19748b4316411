"""Image files in, elements of the /score answer out, one at a time. Knows nothing about arguments or drawing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.detections import Detections
from scoring.detector import Detector
from scoring.images import ImageLimits
from scoring.scorer import score_image
from scoring.wire import to_element, to_error_element


@dataclass(frozen=True)
class Prediction:
    """One file's answer. `found` is None where the file could not be read; `element` then says why."""

    path: Path
    element: dict[str, Any]
    found: Detections | None = None


def score_files(
    detector: Detector,
    paths: Iterable[Path],
    *,
    score_threshold: float | None = None,
    limits: ImageLimits | None = None,
) -> Iterator[Prediction]:
    """One prediction a path, same order; a bad image keeps its place."""
    for path in paths:
        scored = score_image(detector, path, limits=limits, score_threshold=score_threshold)
        if scored.found is not None:
            yield Prediction(path, to_element(str(path), scored.found, detector.labels), scored.found)
        elif scored.error is not None:
            yield Prediction(path, to_error_element(str(path), scored.error))
