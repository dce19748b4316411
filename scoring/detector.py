"""One detector for every bundle: images in, boxes out, through ONNX Runtime.

Knows the graph's inputs and outputs (CONTRACTS 6) and nothing about files' formats, HTTP or how the model was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoring.bundle import LoadedBundle, load_bundle
from scoring.detections import Detections
from scoring.errors import IncompatibleError, UsageError
from scoring.images import Letterbox, preprocess, unletterbox
from scoring.onnxfile import read_onnx

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
INPUTS = ("images", "score_threshold")
OUTPUTS = ("boxes", "scores", "labels", "num")


class Detector:
    """A loaded bundle that answers. One instance may be used from several threads."""

    def __init__(self, bundle: LoadedBundle, session: Any) -> None:
        self.bundle = bundle
        self._session = session
        shapes = {each.name: each.shape for each in session.get_inputs()}
        self._fixed_batch = isinstance(shapes["images"][0], int)
        self._threshold_shape = (1,) * len(shapes["score_threshold"])

    @classmethod
    def load(cls, bundle: LoadedBundle | Path | str, *, threads: int = 1, provider: str = "cpu") -> Detector:
        """Open the bundle's ONNX file; a folder is verified first.

        Raises: NotFoundError, IntegrityError, IncompatibleError; UsageError for an unknown provider.
        """
        loaded = bundle if isinstance(bundle, LoadedBundle) else load_bundle(bundle)
        session = _open_session(loaded.model, threads, provider)
        _check_graph(session, loaded)
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

        Raises: IncompatibleError where the runtime fails on this graph.
        """
        operating = self.bundle.postprocess.score_threshold if score_threshold is None else score_threshold
        size = 1 if self._fixed_batch else max(1, batch_size)
        found: list[Detections] = []
        for start in range(0, len(images), size):
            found += self._detect_batch(images[start : start + size], operating)
        return found

    def _detect_batch(self, images: Sequence[Image.Image], threshold: float | Mapping[str, float]) -> list[Detections]:
        prepared = [preprocess(image, self.bundle.preprocess) for image in images]
        per_label = _thresholds(threshold, self.labels)
        boxes, scores, labels, counts = self._run(np.stack([array for array, _ in prepared]), float(per_label.min()))
        return [
            self._one(boxes[i, :count], scores[i, :count], labels[i, :count], per_label, image, prepared[i][1])
            for i, (image, count) in enumerate(zip(images, counts, strict=True))
        ]

    def _run(self, images: NDArray[np.float32], threshold: float) -> tuple[NDArray[Any], ...]:
        feed = {"images": images, "score_threshold": np.full(self._threshold_shape, threshold, np.float32)}
        try:
            boxes, scores, labels, num = self._session.run(list(OUTPUTS), feed)
        except _runtime_errors() as error:
            raise IncompatibleError(
                f"the model of {self.bundle.path} failed while running: {error}", hint="free memory, or export it again"
            ) from error
        return boxes, scores, labels, np.asarray(num).reshape(-1).astype(int)

    def _one(
        self,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        labels: NDArray[np.int64],
        per_label: NDArray[np.float32],
        image: Image.Image,
        letterbox: Letterbox,
    ) -> Detections:
        labels = labels.astype(np.int64)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.labels):
            raise IncompatibleError(
                f"the graph answers label {labels.max()}, the manifest has {len(self.labels)}",
                hint="make the bundle again",
            )
        fractions = unletterbox(boxes, letterbox, image.width, image.height)
        real = (fractions[:, 2] > fractions[:, 0]) & (fractions[:, 3] > fractions[:, 1])
        keep = np.flatnonzero(real & (scores >= per_label[labels]))
        order = keep[np.argsort(-scores[keep], kind="stable")]
        return Detections(fractions[order], scores[order].astype(np.float32), labels[order])


def _thresholds(threshold: float | Mapping[str, float], labels: Sequence[str]) -> NDArray[np.float32]:
    if isinstance(threshold, Mapping):
        return np.array([threshold[label] for label in labels], np.float32)
    return np.full(len(labels), threshold, np.float32)


def _open_session(model: Path, threads: int, provider: str) -> Any:
    import onnxruntime

    wanted = PROVIDERS.get(provider)
    if wanted is None:
        raise UsageError(f"expected a provider of {', '.join(PROVIDERS)}, found {provider!r}")
    if wanted not in onnxruntime.get_available_providers():
        raise IncompatibleError(
            f"this onnxruntime has no {wanted}", hint="install the onnxruntime build for it, or use provider 'cpu'"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    providers = [wanted] if provider == "cpu" else [wanted, PROVIDERS["cpu"]]
    try:
        return onnxruntime.InferenceSession(read_onnx(model), options, providers=providers)
    except _runtime_errors() as error:
        raise IncompatibleError(
            f"onnxruntime {onnxruntime.__version__} cannot load {model}: {error}", hint="update onnxruntime"
        ) from error


def _check_graph(session: Any, bundle: LoadedBundle) -> None:
    inputs = {each.name: each.shape for each in session.get_inputs()}
    outputs = [each.name for each in session.get_outputs()]
    if set(inputs) != set(INPUTS) or not set(OUTPUTS) <= set(outputs):
        raise IncompatibleError(
            f"expected a graph with inputs {', '.join(INPUTS)} and outputs {', '.join(OUTPUTS)},"
            f" found {', '.join(inputs)} and {', '.join(outputs)}",
            hint="make the bundle again",
        )
    shape = inputs["images"]
    expected = (3, *bundle.preprocess.size)
    if len(shape) != 4 or any(isinstance(s, int) and s != e for s, e in zip(shape[1:], expected, strict=True)):
        raise IncompatibleError(f"the graph takes images of {shape}, the manifest says {expected}")
    if isinstance(shape[0], int) and shape[0] != 1:
        raise IncompatibleError(f"expected a graph with a free batch or a batch of 1, found {shape[0]}")


def _runtime_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NoSuchFile", "NotImplemented")
    return (*(getattr(state, name) for name in (*names, "RuntimeException", "EPFail", "EngineError")), RuntimeError)
