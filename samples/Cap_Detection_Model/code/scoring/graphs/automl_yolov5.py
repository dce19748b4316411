"""Azure AutoML's yolov5 as the service leaves it: raw predictions; decoding and suppression happen here.

The first output is (1, anchors, 5 + labels): centre x and y, width and height in input pixels, the chance of an object,
the chance of each label. The other outputs are for training. What it was trained with, and what its manifest says:
`letterbox_shrink`, anchor `center`, pad 114, no antialias, 1/255. Labels have no background. An image's score is
object times label, one label a box, as in the service's own scoring.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import IncompatibleError
from scoring.graphs.base import Found, Graph, broken, only_input
from scoring.graphs.suppress import suppress
from scoring.manifest import Manifest
from scoring.session import Session


class AutomlYolov5(Graph):
    def __init__(self, session: Session, manifest: Manifest) -> None:
        super().__init__(session, manifest)
        self._input = only_input(session, manifest)
        self._output, (_, shape) = next(iter(session.outputs.items()))
        columns = 5 + len(manifest.labels)
        if len(shape) != 3 or (isinstance(shape[2], int) and shape[2] != columns):
            raise IncompatibleError(
                f"expected a first output of (1, anchors, {columns}) for {len(manifest.labels)} labels, found {shape}",
                hint="make the bundle again",
            )

    def answer(self, images: NDArray[np.float32], threshold: float) -> list[Found]:
        [raw] = self.session.run([self._output], {self._input: images})
        columns = 5 + len(self.manifest.labels)
        if raw.ndim != 3 or raw.shape[0] != len(images) or raw.shape[2] != columns:
            raise broken(f"answers {raw.shape} for {len(images)} images and {columns - 5} labels")
        if not np.isfinite(raw).all():
            raise broken("answers numbers that are not finite")
        return [self._one(each, threshold) for each in raw]

    def _one(self, raw: NDArray[Any], threshold: float) -> Found:
        raw = raw[raw[:, 4] >= threshold]  # an object's score is never above its chance of being one
        chances = raw[:, 5:] * raw[:, 4:5]
        labels = chances.argmax(axis=1)
        scores = chances[np.arange(len(labels)), labels]
        enough = scores >= threshold
        raw, scores, labels = raw[enough], scores[enough], labels[enough]
        half = raw[:, 2:4] / 2
        boxes = np.concatenate([raw[:, :2] - half, raw[:, :2] + half], axis=1)
        post = self.manifest.postprocess
        kept = suppress(boxes, scores, labels, iou=post.iou, most=post.max_boxes)
        return self.found(boxes[kept], scores[kept], labels[kept])
