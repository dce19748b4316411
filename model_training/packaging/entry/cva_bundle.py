"""Runs a bundle where MLflow or Azure ML has put it: base64 images in, the answer of /score out.

Lies in the bundle's `code/` beside `scoring/`, needs nothing but onnxruntime, numpy and pillow, and is the loader
module of the `MLmodel` file. Knows nothing about HTTP.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoring.bundle import LoadedBundle, load_bundle
from scoring.detector import Detector
from scoring.errors import CvaError, ImageError, IntegrityError, UsageError
from scoring.files import sha256_of
from scoring.images import open_image
from scoring.wire import to_element, to_error_element


class BundleModel:
    """What `mlflow.pyfunc` calls; also behind `score.py`."""

    def __init__(self, folder: Path) -> None:
        self._detector = Detector.load(_verified(folder))

    def predict(self, model_input: Any, params: Any = None) -> list[dict[str, Any]]:
        """`model_input` has a column `image` of base64 texts (a data frame, or a mapping or list of them)."""
        images = model_input if isinstance(model_input, list) else list(model_input["image"])
        return self.answer(images)

    def answer(self, images: Sequence[Any]) -> list[dict[str, Any]]:
        """One element an image, same order; a bad image keeps its place and says why."""
        return [self._one(f"image_{number}", image) for number, image in enumerate(images)]

    def _one(self, name: str, image: Any) -> dict[str, Any]:
        try:
            opened = open_image(decode(image))
            return to_element(name, self._detector.detect([opened])[0], self._detector.labels)
        except CvaError as error:
            return to_error_element(name, error)


def decode(image: Any) -> bytes:
    """Image bytes from base64 text (line breaks and a `data:` prefix allowed), or from `{"image_base64": …}` as JSON.

    Raises:
        ImageError: it is not base64.
    """
    if isinstance(image, bytes):
        return image
    if not isinstance(image, str):
        raise ImageError(f"expected base64 text, found {type(image).__name__}", code="not_an_image")
    text = image.strip()
    if text.startswith("{"):
        text = _inner(text)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(
            "the image is not valid base64", code="not_an_image", hint="encode the file's bytes"
        ) from error


def images_of(request: Any) -> list[Any]:
    """The images of a /score request: `{"input_data": {"data": […]}}` or `{"data": […]}`, rows as lists or plain.

    Raises:
        UsageError: another shape.
    """
    inner = request.get("input_data", request) if isinstance(request, dict) else None
    data = inner.get("data") if isinstance(inner, dict) else None
    if not isinstance(data, list):
        raise UsageError('expected {"input_data":{"columns":["image"],"data":["<base64>"]}}', hint="see CONTRACTS 8")
    return [item[0] if isinstance(item, list) and len(item) == 1 else item for item in data]


def _inner(text: str) -> str:
    try:
        value = json.loads(text)["image_base64"]
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError('expected {"image_base64": "…"}', code="not_an_image") from error
    return str(value)


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
    folder = Path(data_path)
    return BundleModel(folder if folder.is_dir() else folder.parent)
