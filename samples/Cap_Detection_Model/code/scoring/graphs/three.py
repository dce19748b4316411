"""Graphs that answer boxes, scores and labels as three arrays of as many rows as there are objects, one image a run.

The service's torchvision families do: it names the outputs `boxes_0`, `labels_0`, `scores_0`. Where an export has other
names, they are taken in the family's documented order. Suppression and the best K are inside the graph.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scoring.errors import IncompatibleError
from scoring.graphs.base import Found, Graph, broken, only_input
from scoring.manifest import Manifest
from scoring.session import Session

PARTS = ("boxes", "scores", "labels")


class ThreeOutputs(Graph):
    """`order` is the family's documented order of outputs, `first_label` the graph's number of the first real label."""

    order: ClassVar[tuple[str, str, str]]
    first_label: ClassVar[int]

    def __init__(self, session: Session, manifest: Manifest) -> None:
        super().__init__(session, manifest)
        self._input = only_input(session, manifest)
        self._names = _names(session, self.order)

    def answer(self, images: NDArray[np.float32], threshold: float) -> list[Found]:
        boxes, scores, labels = self.session.run(self._names, {self._input: images})
        boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
        if not len(boxes) == labels.size == scores.size:
            raise broken(f"answers {len(boxes)} boxes, {scores.size} scores and {labels.size} labels")
        labels, scores = labels.reshape(-1), scores.reshape(-1)
        real = labels >= self.first_label  # background is no object
        return [self.found(boxes[real], scores[real], labels[real] - self.first_label)]


def _names(session: Session, order: tuple[str, str, str]) -> list[str]:
    """The outputs' names as PARTS. Raises: IncompatibleError."""
    names = list(session.outputs)
    if len(names) == len(PARTS):
        by_name = {part: [name for name in names if name.startswith(part)] for part in PARTS}
        named = all(len(found) == 1 for found in by_name.values())
        chosen = {part: by_name[part][0] for part in PARTS} if named else dict(zip(order, names, strict=True))
        types = [session.outputs[chosen[part]][0] for part in PARTS]
        if types[0] == types[1] != types[2] == "tensor(int64)":
            return [chosen[part] for part in PARTS]
    raise IncompatibleError(
        f"expected a graph that answers {', '.join(order)}, found "
        + ", ".join(f"{name} {kind}" for name, (kind, _) in session.outputs.items()),
        hint="make the bundle again",
    )
