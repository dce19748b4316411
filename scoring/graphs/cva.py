"""This project's own graph: suppression inside, any batch, the threshold as an input (CONTRACTS 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoring.errors import IncompatibleError
from scoring.graphs.base import Found, Graph, broken, check_image_input
from scoring.manifest import Manifest
from scoring.session import Session

INPUTS = ("images", "score_threshold")
OUTPUTS = ("boxes", "scores", "labels", "num")


class Cva(Graph):
    """`num` says how many rows of an image count; what is behind them is padding and is not looked at."""

    def __init__(self, session: Session, manifest: Manifest) -> None:
        super().__init__(session, manifest)
        if set(session.inputs) != set(INPUTS) or not set(OUTPUTS) <= set(session.outputs):
            raise IncompatibleError(
                f"expected a graph with inputs {', '.join(INPUTS)} and outputs {', '.join(OUTPUTS)},"
                f" found {', '.join(session.inputs)} and {', '.join(session.outputs)}",
                hint="make the bundle again",
            )
        if session.outputs["labels"][0] != "tensor(int64)":
            raise IncompatibleError(
                f"expected labels of tensor(int64), found {session.outputs['labels'][0]}", hint="make the bundle again"
            )
        _, shape = session.inputs["images"]
        check_image_input(shape, manifest)
        self.most = 1 if isinstance(shape[0], int) else None
        self._threshold_axes = len(session.inputs["score_threshold"][1])

    def answer(self, images: NDArray[np.float32], threshold: float) -> list[Found]:
        feed = {"images": images, "score_threshold": np.array(threshold, np.float32, ndmin=self._threshold_axes)}
        boxes, scores, labels, num = self.session.run(OUTPUTS, feed)
        counts = num.reshape(-1).tolist()
        if not len(counts) == len(boxes) == len(images) or min(counts) < 0 or max(counts) > boxes.shape[1]:
            raise broken(f"answers {len(images)} images with counts {counts} of boxes {boxes.shape}")
        return [self.found(boxes[i, :n], scores[i, :n], labels[i, :n]) for i, n in enumerate(counts)]
