"""Runs a bundle where MLflow or Azure ML has put it: images as base64 in, the answer of /score out.

Lies in the bundle's `code/` beside `scoring/`, needs nothing but onnxruntime, numpy and pillow, and is the loader
module of the `MLmodel` file. Knows nothing about HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoring.bundle import LoadedBundle, load_bundle
from scoring.detector import Detector
from scoring.errors import ImageError, IntegrityError
from scoring.files import sha256_of
from scoring.images import open_image
from scoring.wire import parse_score_request, to_element, to_error_element


class BundleModel:
    """What `mlflow.pyfunc` calls; also behind `score.py`."""

    def __init__(self, folder: Path) -> None:
        self._detector = Detector.load(_verified(folder))

    def predict(self, model_input: Any, params: Any = None) -> list[dict[str, Any]]:
        """`model_input` is a data frame (or a mapping) with a column `image` of base64 texts.

        Raises: UsageError for what is not base64.
        """
        return self.answer(parse_score_request(json.dumps({"data": list(model_input["image"])})))

    def answer(self, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """One element an image, same order; a bad image keeps its place and says why."""
        return [self._one(f"image_{number}", image) for number, image in enumerate(images)]

    def _one(self, name: str, image: bytes) -> dict[str, Any]:
        try:
            opened = open_image(image)
        except ImageError as error:
            return to_error_element(name, error)
        return to_element(name, self._detector.detect([opened])[0], self._detector.labels)


def _verified(folder: Path) -> LoadedBundle:
    """Listed files must be unchanged; others may lie beside them (a registry's own notes, Python's caches)."""
    loaded = load_bundle(folder, verify=False)
    for entry in loaded.manifest.files:
        file = folder / entry.path
        if not file.is_file() or sha256_of(file) != entry.sha256:
            raise IntegrityError(f"{entry.path} of {folder} differs from the manifest", hint="fetch the model again")
    return loaded


def _load_pyfunc(data_path: str) -> BundleModel:
    """MLflow calls this with the model's folder."""
    return BundleModel(Path(data_path))
