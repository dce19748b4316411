"""yolov5 as the service leaves it: a real export with random weights, and a small graph whose answer is known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scoring.detector import Detector
from scoring.errors import IncompatibleError
from scoring.images import open_image

Make = Callable[..., Path]
KIND = "automl_yolov5"
SPEC = {"size": [640, 640], "resize": "letterbox_shrink", "anchor": "center", "antialias": False}
SMALL = {**SPEC, "size": [64, 64]}
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture
def export() -> bytes:
    path = Path(os.environ.get("CVA_AUTOML_EXPORTS", SHARED / "automl-exports")) / "automl_yolov5_tiny_random.onnx"
    if not path.is_file():
        pytest.skip(f"no export of Azure's yolov5 at {path} (set CVA_AUTOML_EXPORTS)")
    return path.read_bytes()


def known(raw: list[list[float]]) -> bytes:
    """A graph that answers `raw` (anchors, 8) times one plus nothing of the image."""
    from onnx import TensorProto, helper, numpy_helper

    table = numpy_helper.from_array(np.array([raw], np.float32), "table")
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["table", "nothing"], ["output"]),
        helper.make_node("Identity", ["input"], ["for_training"]),
    ]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 64, 64])
    outputs = [
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", len(raw), len(raw[0])]),
        helper.make_tensor_value_info("for_training", TensorProto.FLOAT, ["batch", 3, 64, 64]),
    ]
    zero = numpy_helper.from_array(np.float32(0), "zero")
    body = helper.make_graph(nodes, "known", [image], outputs, [table, zero])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    return bytes(model.SerializeToString())


def grey(width: int = 64, height: int = 32) -> Image.Image:
    return Image.new("RGB", (width, height), (90, 90, 90))


def test_raw_predictions_become_boxes_of_the_image(automl_bundle: Make) -> None:
    """64 x 32 lies in the middle of 64 x 64: 16 rows of padding above."""
    raw = [
        [32, 32, 32, 16, 0.9, 0.1, 1.0, 0.2],
        [33, 32, 32, 16, 0.8, 0.1, 1.0, 0.2],  # the same object again
        [33, 32, 32, 16, 0.8, 1.0, 0.1, 0.2],  # another label is another object
        [32, 4, 10, 4, 0.9, 1.0, 0.0, 0.0],  # in the padding alone
        [10, 30, 4, 4, 0.9, 0.3, 0.3, 0.2],  # .27: not enough together
        [10, 30, 4, 4, 0.2, 1.0, 0.0, 0.0],
    ]
    [found] = Detector.load(automl_bundle(known(raw), KIND, preprocess=SMALL)).detect([grey()])
    assert found.labels.tolist() == [1, 0]
    assert np.allclose(found.scores, (0.9, 0.8))
    assert np.allclose(found.boxes[0], (0.25, 0.25, 0.75, 0.75))


def test_a_small_image_is_not_made_larger(automl_bundle: Make) -> None:
    """32 x 32 stays so, 16 pixels of padding all around: the input's middle half is the whole image."""
    raw = [[32, 32, 32, 32, 1, 1, 0, 0]]
    [found] = Detector.load(automl_bundle(known(raw), KIND, preprocess=SMALL)).detect([grey(32, 32)])
    assert found.boxes.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_an_error(automl_bundle: Make, bad: float) -> None:
    detector = Detector.load(automl_bundle(known([[32, 32, 8, 8, bad, 1, 0, 0]]), KIND, preprocess=SMALL))
    with pytest.raises(IncompatibleError, match="not finite"):
        detector.detect([grey()])


def test_scores_before_their_sigmoid_are_an_error(automl_bundle: Make) -> None:
    detector = Detector.load(automl_bundle(known([[32, 32, 8, 8, 3.5, 2, 0, 0]]), KIND, preprocess=SMALL))
    with pytest.raises(IncompatibleError, match="answers scores from 7 to 7"):
        detector.detect([grey()])


def test_another_number_of_labels_is_refused_when_it_is_loaded(automl_bundle: Make) -> None:
    with pytest.raises(IncompatibleError, match=r"\(1, anchors, 7\) for 2 labels, found"):
        Detector.load(automl_bundle(known([[0.0] * 8]), KIND, preprocess=SMALL, labels=["a", "b"]))


def reference(raw: np.ndarray, threshold: float, iou: float) -> list[tuple[float, int, tuple[float, ...]]]:
    """The service's own way, box by box in plain Python: score, label and corners of what stays, best first."""
    rows = []
    for x, y, w, h, chance, *labels in raw.tolist():
        score = float(np.float32(max(labels) * chance))
        if score >= threshold:
            rows.append((score, labels.index(max(labels)), (x - w / 2, y - h / 2, x + w / 2, y + h / 2)))
    kept: list[Any] = []
    for row in sorted(rows, key=lambda row: -row[0]):
        if all(row[1] != other[1] or overlap(row[2], other[2]) <= iou for other in kept):
            kept.append(row)
    return kept


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return wide * high / (areas - wide * high)


def test_a_real_export_answers_real_photographs(automl_bundle: Make, export: bytes, bccd: Path) -> None:
    """Its weights are random, so its scores are tiny and alike; what counts is that every box is where it belongs."""
    threshold = 2e-5
    post = {"score_threshold": threshold, "max_boxes": 300}
    detector = Detector.load(automl_bundle(export, KIND, preprocess=SPEC, postprocess=post))
    image = open_image(sorted((bccd / "JPEGImages").glob("*.jpg"))[0])
    [found] = detector.detect([image])
    [raw] = detector._graph.session.run(["output"], {"input": input_of(image)})
    expected = [(s, n, in_picture(corners)) for s, n, corners in reference(raw[0], threshold, 0.5)[:300]]
    expected = [each for each in expected if each[2][3] > each[2][1]]
    assert len(found) > 20
    assert found.scores.tolist() == [score for score, _, _ in expected]
    assert found.labels.tolist() == [label for _, label, _ in expected]
    assert np.allclose(found.boxes, [corners for _, _, corners in expected], atol=1e-5)


def in_picture(corners: tuple[float, ...]) -> tuple[float, ...]:
    """Pixels of 640 x 640, where the picture is rows 80 to 559, to fractions of it."""
    x1, y1, x2, y2 = corners
    return tuple(min(1.0, max(0.0, v)) for v in (x1 / 640, (y1 - 80) / 480, x2 / 640, (y2 - 80) / 480))


def input_of(image: Image.Image) -> np.ndarray:
    """640 x 480 in the middle of 640 x 640, written down without any of the code under test."""
    assert image.size == (640, 480)
    canvas = np.full((640, 640, 3), 114, np.uint8)
    canvas[80:560] = np.asarray(image)
    return (canvas.transpose(2, 0, 1)[None] / 255).astype(np.float32)


def test_a_real_export_is_served_one_image_a_run(automl_bundle: Make, export: bytes) -> None:
    post = {"score_threshold": 2e-5, "max_boxes": 50}
    detector = Detector.load(automl_bundle(export, KIND, preprocess=SPEC, postprocess=post))
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (300, 200 + 9 * n, 3), np.uint8)) for n in range(3)]
    one, many = detector.detect(images, batch_size=1), detector.detect(images, batch_size=8)
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(one, many, strict=True))
    assert detector._graph.most == 1
