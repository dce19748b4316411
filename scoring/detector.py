"""One detector for every bundle: images in, boxes out, through ONNX Runtime.

How a graph is fed and read belongs to its kind (`scoring.graphs`); nothing here knows files' formats, HTTP or how the
model was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np
from PIL import Image

from scoring.bundle import LoadedBundle, load_bundle
from scoring.detections import Detections, Row
from scoring.geometry import Letterbox, preprocess_into, unletterbox
from scoring.graphs import Found, Graph, open_graph
from scoring.session import PROVIDERS, Session, open_session

__all__ = ["PROVIDERS", "Detector"]

LEAST = 2.0**-24  # of an image's side: fractions that are closer may be the same float32


class Detector:
    """A loaded bundle that answers. One instance may be used from several threads."""

    def __init__(self, bundle: LoadedBundle, session: Session) -> None:
        self.bundle = bundle
        self._graph: Graph = open_graph(session, bundle.manifest)
        self._operating = _thresholds(bundle.postprocess.score_threshold, bundle.labels)

    @classmethod
    def load(cls, bundle: LoadedBundle | Path | str, *, threads: int = 1, provider: str = "cpu") -> Detector:
        """Open the bundle's ONNX file, whose bytes are as its manifest says; a folder is verified first. `provider` is
        one of PROVIDERS.

        Raises: NotFoundError, IntegrityError; IncompatibleError also where this onnxruntime lacks the provider;
        UsageError for an unknown one.
        """
        loaded = bundle if isinstance(bundle, LoadedBundle) else load_bundle(bundle)
        session = open_session(
            loaded.model, threads=threads, provider=provider, name=str(loaded.path), sha256=loaded.model_sha256
        )
        return cls(loaded, session)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.bundle.labels

    def detect(
        self,
        images: Sequence[Image.Image],
        *,
        score_threshold: float | Mapping[str, float] | None = None,
        batch_size: int = 8,
    ) -> list[Detections]:
        """One element an image, same order. None takes the manifest's operating threshold, one or one a label.

        Raises: IncompatibleError where the runtime fails on this graph, or the graph answers nonsense.
        """
        lowest = self._operating if score_threshold is None else _thresholds(score_threshold, self.labels)
        size = max(1, min(batch_size, self._graph.most or batch_size))
        found: list[Detections] = []
        for start in range(0, len(images), size):
            found += self._detect_batch(images[start : start + size], lowest)
        return found

    def _detect_batch(self, images: Sequence[Image.Image], lowest: Sequence[float]) -> list[Detections]:
        spec = self.bundle.preprocess
        batch = np.empty((len(images), 3, *spec.size), np.float32)
        placed = [preprocess_into(image, spec, out) for image, out in zip(images, batch, strict=True)]
        answers = self._graph.answer(batch, min(lowest))
        return [self._one(found, lowest, box) for found, box in zip(answers, placed, strict=True)]

    def _one(self, found: Found, lowest: Sequence[float], letterbox: Letterbox) -> Detections:
        """Boxes that lie in the padding alone have no extent in the image, and are none."""
        fractions = unletterbox(found.boxes, letterbox)
        kept = [
            Row(score, label, box)
            for box, score, label in zip(fractions, found.scores, found.labels, strict=True)
            if score >= lowest[label] and box[2] - box[0] > LEAST and box[3] - box[1] > LEAST
        ]
        kept.sort(key=itemgetter(0), reverse=True)
        del kept[self.bundle.postprocess.max_boxes :]
        return Detections.of(kept)


def _thresholds(threshold: float | Mapping[str, float], labels: Sequence[str]) -> list[float]:
    """One a label, with a score's own precision: .3 as a float32 is not below .3."""
    each = [threshold[label] for label in labels] if isinstance(threshold, Mapping) else [threshold] * len(labels)
    rounded: list[float] = np.array(each, np.float32).tolist()
    return rounded
