"""One image, one answer: alone or in a batch, on one thread or two, today or when the model was registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scoring.bundle import write_manifest
from scoring.detections import Detections
from scoring.detector import Detector
from scoring.images import open_image
from scoring.scorer import score_image

Make = Callable[..., Path]
SIZE, CELL, LABELS, BEST = 96, 16, 3, 20
SAMPLES = Path(__file__).resolve().parents[3] / "samples"


def convolutions() -> bytes:
    """Random convolutions over the pixels, one box a cell, and the suppression that every exported model ends with."""
    from onnx import TensorProto, helper, numpy_helper

    from model_training.packaging.suppress import OPSET, with_suppression

    rng = np.random.default_rng(5)
    cells = SIZE // CELL
    corners = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1).reshape(-1, 2) * float(CELL)
    cell_boxes = np.concatenate([corners - 6, corners + CELL + 6], 1)[None]
    weights = {
        "w1": rng.normal(0, 0.5, (8, 3, 5, 5)),
        "w2": rng.normal(0, 0.5, (8, 8, CELL // 2, CELL // 2)),
        "w3": rng.normal(0, 0.5, (LABELS + 4, 8, 1, 1)),
        "cells": cell_boxes,
        "spread": np.array(3.0),
    }
    anchors = cells * cells
    integers = {"shape": [0, LABELS + 4, anchors], "cut": [4, LABELS]}
    nodes = [
        helper.make_node("Conv", ["images", "w1"], ["c1"], strides=[2, 2], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], strides=[CELL // 2] * 2),
        helper.make_node("Tanh", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["c3"]),
        helper.make_node("Reshape", ["c3", "shape"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["table"], perm=[0, 2, 1]),
        helper.make_node("Split", ["table", "cut"], ["shift", "logits"], axis=2),
        helper.make_node("Tanh", ["shift"], ["small"]),
        helper.make_node("Mul", ["small", "spread"], ["moved"]),
        helper.make_node("Add", ["cells", "moved"], ["boxes"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])]
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", anchors, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", anchors, LABELS]),
    ]
    values = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    values += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in integers.items()]
    body = helper.make_graph(nodes, "convolutions", inputs, outputs, values)
    raw = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    merged = with_suppression(raw, anchors=anchors, classes=LABELS, iou=0.5, max_boxes=BEST)
    return bytes(merged.SerializeToString())


@pytest.fixture(scope="module")
def graph() -> bytes:
    return convolutions()


@pytest.fixture
def bundle(tmp_path: Path, graph: bytes, tiny_manifest: Callable[..., dict[str, Any]]) -> Path:
    (tmp_path / "model.onnx").write_bytes(graph)
    post = {"kind": "cva", "iou": 0.5, "score_threshold": 0.3, "max_boxes": BEST}
    write_manifest(tmp_path, tiny_manifest(preprocess={"size": [SIZE, SIZE]}, postprocess=post))
    return tmp_path


@pytest.fixture
def photographs(bccd: Path) -> list[Image.Image]:
    return [open_image(path) for path in sorted((bccd / "JPEGImages").glob("*.jpg"))[:9]]


def assert_alike(left: Sequence[Detections], right: Sequence[Detections], tolerance: float) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.labels.tolist() == other.labels.tolist()
        assert np.allclose(one.boxes, other.boxes, rtol=0, atol=tolerance)
        assert np.allclose(one.scores, other.scores, rtol=0, atol=tolerance)


def test_every_batch_from_1_to_8_gives_what_one_image_gives(bundle: Path, photographs: list[Image.Image]) -> None:
    detector = Detector.load(bundle)
    alone = detector.detect(photographs, batch_size=1)
    assert min(len(found) for found in alone) > 5
    assert not np.array_equal(alone[0].scores, alone[1].scores)  # the picture decides
    for size in range(2, 9):
        assert_alike(detector.detect(photographs, batch_size=size), alone, 1e-4)


def test_threads_change_nothing(bundle: Path, photographs: list[Image.Image]) -> None:
    alone = Detector.load(bundle).detect(photographs, batch_size=1)
    detector = Detector.load(bundle, threads=2)
    assert_alike(detector.detect(photographs, batch_size=3), alone, 1e-4)
    with ThreadPoolExecutor(4) as pool:  # one detector, several callers at the same time
        together = list(pool.map(lambda image: detector.detect([image])[0], photographs))
    assert_alike(together, alone, 1e-4)


def test_neighbours_in_a_batch_do_not_matter(bundle: Path, photographs: list[Image.Image]) -> None:
    detector = Detector.load(bundle)
    [alone] = detector.detect(photographs[:1])
    white, black = Image.new("RGB", (30, 90), "white"), Image.new("RGB", (90, 30))
    assert_alike([detector.detect([white, photographs[0], black])[1]], [alone], 1e-4)


def test_what_is_served_is_what_was_measured(bundle: Path, bccd: Path) -> None:
    """Registration measures files in batches; a server scores bytes one by one."""
    from model_training.data.jsonl import write_rows
    from model_training.data.rows import Row
    from model_training.evaluation.measure import FLOOR, detect_part

    paths = sorted((bccd / "JPEGImages").glob("*.jpg"))[:8]
    part = bundle.parent / "test.jsonl"
    write_rows(part, [Row(str(path), width=640, height=480, file_name=path.name) for path in paths])
    detector = Detector.load(bundle)
    _, measured = detect_part(detector, part)
    scored = [score_image(detector, path.read_bytes(), score_threshold=FLOOR) for path in paths]
    assert_alike([each.found for each in scored if each.found], measured, 1e-4)


def test_a_trained_model_answers_alike_in_every_batch_and_as_bytes() -> None:
    """The sample and its pictures are in every clone; turned over, they are eight."""
    paths = sorted((SAMPLES / "pictures").iterdir())
    upright = [open_image(path) for path in paths]
    pictures = [*upright, *(image.transpose(Image.Transpose.ROTATE_180) for image in upright)]
    detector = Detector.load(SAMPLES / "Cap_Detection_Model")
    alone = detector.detect(pictures, batch_size=1)
    assert min(len(found) for found in alone[: len(paths)]) >= 1
    for size in range(2, 9):
        assert_alike(detector.detect(pictures, batch_size=size), alone, 1e-4)
    scored = [score_image(detector, path.read_bytes()).found for path in paths]
    assert_alike([found for found in scored if found], alone[: len(paths)], 0)
