"""Bundles of graphs that Azure's AutoML leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import write_manifest


@pytest.fixture
def automl_bundle(tmp_path: Path, tiny_manifest: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """`automl_bundle(onnx, kind, preprocess=..., labels=...)` writes a bundle and gives its folder."""

    def make(onnx: bytes, kind: str, *, preprocess: dict[str, Any], **changes: Any) -> Path:
        folder = tmp_path / "bundle"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(onnx)
        post = {"kind": kind, "iou": 0.5, "score_threshold": 0.3, "max_boxes": 100} | changes.pop("postprocess", {})
        write_manifest(folder, tiny_manifest(preprocess=preprocess, postprocess=post, **changes))
        return folder

    return make
