"""Image files in, elements of the /score answer out, a batch at a time. Knows nothing about arguments or drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from scoring.detections import Detections
from scoring.detector import Detector
from scoring.errors import CvaError, StorageError
from scoring.images import ImageLimits, open_image
from scoring.wire import to_element, to_error_element


@dataclass(frozen=True)
class Prediction:
    """One file's answer. `image` and `found` are None where the file could not be read; `element` then says why."""

    path: Path
    element: dict[str, Any]
    image: Image.Image | None = None
    found: Detections | None = None

    @property
    def failed(self) -> bool:
        return self.image is None


def score_files(
    detector: Detector,
    paths: Sequence[Path],
    *,
    score_threshold: float | None = None,
    limits: ImageLimits | None = None,
    batch_size: int = 8,
) -> Iterator[Prediction]:
    """One prediction a path, same order; a bad image keeps its place. At most one batch of images is in memory."""
    waiting = iter(paths)
    while batch := list(islice(waiting, batch_size)):
        opened = [_open(path, limits) for path in batch]
        images = [each for each in opened if isinstance(each, Image.Image)]
        answers = iter(detector.detect(images, score_threshold=score_threshold, batch_size=batch_size))
        for path, each in zip(batch, opened, strict=True):
            if isinstance(each, CvaError):
                yield Prediction(path, to_error_element(str(path), each))
            else:
                found = next(answers)
                yield Prediction(path, to_element(str(path), found, detector.labels), each, found)


def _open(path: Path, limits: ImageLimits | None) -> Image.Image | CvaError:
    try:
        return open_image(path, limits)
    except CvaError as error:
        return error
    except OSError as error:
        return StorageError(f"cannot read {path}: {error.strerror}", hint="check who owns it")
