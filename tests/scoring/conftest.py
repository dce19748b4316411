"""A real, tiny bundle: its graph answers one box a label, scored by the mean of one colour channel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LABELS = ("blue cap", "green, cap", "red-cap")  # blanks, commas and hyphens pass through untouched
BOXES = [[0, 0, 16, 16], [8, 8, 24, 24], [16, 16, 60, 60]]  # in pixels of the 32 x 32 input; the last leaves it


def graph(*, batch: int | str = "N", threshold_shape: tuple[int, ...] = (), opset: int = 18) -> bytes:
    """Scores are channel means of B, G, R, so that a picture's colour decides what is found in it."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: Any, dtype: Any) -> Any:
        return numpy_helper.from_array(np.array(values, dtype), name)

    nodes = [
        helper.make_node("ReduceMean", ["images", "sides"], ["rgb"], keepdims=0),
        helper.make_node("Gather", ["rgb", "bgr_order"], ["by_label"], axis=1),
        helper.make_node("TopK", ["by_label", "three"], ["scores", "labels"], axis=1),
        helper.make_node("Gather", ["all_boxes", "labels"], ["boxes"], axis=0),
        helper.make_node("GreaterOrEqual", ["scores", "score_threshold"], ["above"]),
        helper.make_node("Cast", ["above"], ["above_int"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["above_int", "one"], ["num"], keepdims=0),
    ]
    initializers = [
        constant("sides", [2, 3], np.int64),
        constant("bgr_order", [2, 1, 0], np.int64),
        constant("three", [3], np.int64),
        constant("all_boxes", BOXES, np.float32),
        constant("one", [1], np.int64),
    ]
    inputs = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 32, 32]),
        helper.make_tensor_value_info("score_threshold", TensorProto.FLOAT, list(threshold_shape)),
    ]
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [batch, 3, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 3]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, [batch, 3]),
        helper.make_tensor_value_info("num", TensorProto.INT64, [batch]),
    ]
    body = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return bytes(model.SerializeToString())


def manifest(name: str = "Caps", **changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "created_at": "2026-05-01T10:00:00Z",
        "task": "image_object_detection",
        "algorithm": "yolov5",
        "implementation": "channel means",
        "license": "MIT",
        "source": {"engine": "local"},
        "metrics": {"split": "test", "mean_average_precision": 0.5, "precision": None, "recall": None},
        "preprocess": {"size": [32, 32], "resize": "letterbox", "pad": 114},
        "postprocess": {"kind": "cva", "iou": 0.5, "score_threshold": 0.3, "max_boxes": 3},
        "labels": list(LABELS),
        "runtime": {"format": "onnx", "opset": 18, "onnxruntime": ">=1.20"},
    }
    return {**value, **changes}


def make_bundle(folder: Path, *, onnx: bytes | None = None, golden: bool = True, **changes: Any) -> Path:
    """A bundle as packaging writes it: graph, labels, one golden image with the answer it must give."""
    from PIL import Image

    from scoring.bundle import load_bundle, write_manifest
    from scoring.detector import Detector
    from scoring.wire import to_element

    (folder / "golden").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(onnx or graph())
    (folder / "labels.json").write_text(json.dumps(LABELS))
    picture = Image.new("RGB", (40, 20), (200, 150, 10))
    picture.save(folder / "golden" / "0001.png")
    write_manifest(folder, manifest(**changes))
    if golden:
        bundle = load_bundle(folder)
        [found] = Detector.load(bundle).detect([picture])
        expected = {
            "score_threshold": None,
            "tolerance": {"box": 0.01, "score": 0.02},
            "images": [{"file": "0001.png", "boxes": to_element("", found, LABELS)["boxes"]}],
        }
        (folder / "golden" / "expected.json").write_text(json.dumps(expected))
        write_manifest(folder, manifest(**changes))
    return folder


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Callable[..., Path]:
    """`tiny_bundle("folder", **changes)` writes a bundle into the test's folder and gives its path."""
    return lambda folder="bundle", /, **options: make_bundle(tmp_path / folder, **options)


@pytest.fixture
def tiny_graph() -> Callable[..., bytes]:
    return graph


@pytest.fixture
def tiny_manifest() -> Callable[..., dict[str, Any]]:
    return manifest
