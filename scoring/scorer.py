"""One image's bytes to its boxes, with the time each part took. Everything that scores goes through here.

Knows nothing about HTTP, files or queues.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from scoring.detections import Detections
from scoring.detector import Detector
from scoring.errors import CvaError, ImageError, NotFoundError, StorageError
from scoring.images import ImageLimits, no_memory, open_upright


class Scored(NamedTuple):
    """`found` is None where the image could not be decoded; `error` then says why.

    `width` and `height` are the file's pixels after the EXIF orientation, 0 where nothing was decoded; times are
    milliseconds.
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
    fast_jpeg: bool = False,
) -> Scored:
    """A bad image is an answer, not an exception; a fault of the model is raised (IncompatibleError).

    With `fast_jpeg` a large JPEG is decoded no larger than this detector needs: faster, and almost the same boxes.
    """
    started = time.perf_counter()
    try:
        image, width, height = open_upright(source, limits, fast_for=detector.bundle.preprocess if fast_jpeg else None)
    except (ImageError, NotFoundError) as error:
        return Scored(None, error, decode_ms=_ms(started))
    except OSError as error:
        problem = StorageError(f"cannot read {source!s}: {error.strerror}", hint="check who owns it")
        return Scored(None, problem, decode_ms=_ms(started))
    decoded = time.perf_counter()
    try:
        [found] = detector.detect([image], score_threshold=score_threshold, batch_size=1)
    except MemoryError:  # a picture that could just be decoded may be too large to be made smaller
        return Scored(None, no_memory(), decode_ms=(decoded - started) * 1000)
    return Scored(found, None, width, height, (decoded - started) * 1000, _ms(decoded))


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
