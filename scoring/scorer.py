"""One image's bytes to its boxes, with the time each part took. Everything that scores goes through here.

Knows nothing about HTTP, files or queues.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scoring.detections import Detections
from scoring.detector import Detector
from scoring.errors import CvaError, ImageError, NotFoundError, StorageError
from scoring.images import ImageLimits, open_image


@dataclass(frozen=True)
class Scored:
    """`found` is None where the image could not be decoded; `error` then says why.

    `width` and `height` are pixels after the EXIF orientation, 0 where nothing was decoded; times are milliseconds.
    """

    found: Detections | None
    error: CvaError | None = None
    width: int = 0
    height: int = 0
    decode_ms: float = 0.0
    infer_ms: float = 0.0


def score_image(
    detector: Detector,
    source: bytes | Path,
    *,
    limits: ImageLimits | None = None,
    score_threshold: float | Mapping[str, float] | None = None,
) -> Scored:
    """A bad image is an answer, not an exception; a fault of the model is raised (IncompatibleError)."""
    started = time.perf_counter()
    try:
        image = open_image(source, limits)
    except (ImageError, NotFoundError) as error:
        return Scored(None, error, decode_ms=_ms(started))
    except OSError as error:
        problem = StorageError(f"cannot read {source!s}: {error.strerror}", hint="check who owns it")
        return Scored(None, problem, decode_ms=_ms(started))
    decoded = time.perf_counter()
    [found] = detector.detect([image], score_threshold=score_threshold, batch_size=1)
    return Scored(found, None, image.width, image.height, (decoded - started) * 1000, _ms(decoded))


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
