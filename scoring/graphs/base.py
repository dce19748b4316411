"""What every kind of graph has in common, and what none may answer.

A graph that answers a number which is not finite, a score outside [0, 1] or a label that the manifest does not have is
broken: IncompatibleError, because boxes that are left out silently look like a model that finds nothing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.errors import IncompatibleError
from scoring.manifest import Manifest
from scoring.session import Session

ROUNDING = 1e-3  # a score may leave [0, 1] by so much: half precision


class Found(NamedTuple):
    """One image's boxes, ltrb in pixels of the graph's input, scores and labels: as many of each, in any order."""

    boxes: list[list[float]]
    scores: list[float]
    labels: list[int]


class Graph(ABC):
    """A graph of one kind. `most` is how many images one run may take, None for any number."""

    most: int | None = 1

    def __init__(self, session: Session, manifest: Manifest) -> None:
        self.session, self.manifest = session, manifest

    @abstractmethod
    def answer(self, images: NDArray[np.float32], threshold: float) -> list[Found]:
        """One element an image; scores below `threshold` may be missing. Raises: IncompatibleError."""

    def found(self, boxes: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any]) -> Found:
        """The three arrays as values that can be trusted. Raises: IncompatibleError."""
        count = len(boxes)
        if boxes.shape != (count, 4) or scores.shape != (count,) or labels.shape != (count,):
            raise broken(f"answers boxes {boxes.shape}, scores {scores.shape}, labels {labels.shape}")
        found = Found(boxes.tolist(), scores.tolist(), labels.tolist())
        if not count:
            return found
        if not math.isfinite(sum(found.scores) + sum(map(sum, found.boxes))):  # one that is not spoils a sum
            raise broken("answers numbers that are not finite")
        least, most = min(found.scores), max(found.scores)
        if least < -ROUNDING or most > 1 + ROUNDING:
            raise broken(f"answers scores from {least:g} to {most:g}")
        first, last, known = min(found.labels), max(found.labels), len(self.manifest.labels)
        if first < 0 or last >= known:
            raise broken(f"answers label {last if last >= known else first}", known)
        if least < 0 or most > 1:
            return found._replace(scores=[min(max(score, 0.0), 1.0) for score in found.scores])
        return found


def broken(what: str, known: int | None = None) -> IncompatibleError:
    more = "" if known is None else f", the manifest has {known}"
    return IncompatibleError(f"the graph {what}{more}", hint="make the bundle again")


def check_image_input(shape: list[Any], manifest: Manifest) -> None:
    """(batch, 3, height, width) as the manifest says, a name where a size is free. Raises: IncompatibleError."""
    expected = (3, *manifest.preprocess.size)
    if len(shape) != 4 or any(isinstance(s, int) and s != e for s, e in zip(shape[1:], expected, strict=True)):
        raise IncompatibleError(f"the graph takes images of {shape}, the manifest says {expected}")
    if isinstance(shape[0], int) and shape[0] != 1:
        raise IncompatibleError(f"expected a graph with a free batch or a batch of 1, found {shape[0]}")


def only_input(session: Session, manifest: Manifest) -> str:
    """The name of the one input, the images. Raises: IncompatibleError."""
    if len(session.inputs) != 1:
        raise IncompatibleError(
            f"expected a graph of kind {manifest.postprocess.kind} with one input, found {', '.join(session.inputs)}",
            hint="make the bundle again",
        )
    name = next(iter(session.inputs))
    check_image_input(session.inputs[name][1], manifest)
    return name
