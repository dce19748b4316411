"""The exported graph: the same bytes each time, and right for every image of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from model_training.errors import TrainingError
from model_training.packaging.export import export_onnx
from tests.packaging.shapes import SIZE, Blobs

K = 6


class Fixed(torch.nn.Module):
    """Answers what the image itself holds: channel 0 boxes (in 100 px), channel 1 the scores of two labels."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images[:, 0, :8, :4] * 100, images[:, 1, :8, :2]


def session(graph: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run(graph: bytes, images: np.ndarray, threshold: float = 0.001) -> list[np.ndarray]:
    feed = {"images": images.astype(np.float32), "score_threshold": np.array(threshold, np.float32)}
    return session(graph).run(["boxes", "scores", "labels", "num"], feed)


@pytest.fixture(scope="module")
def fixed() -> bytes:
    return export_onnx(Fixed(), image_size=SIZE, classes=2, iou=0.5, max_boxes=K)


def picture(boxes: list[list[float]], scores: list[list[float]]) -> np.ndarray:
    image = np.zeros((3, SIZE, SIZE), np.float32)
    image[0, : len(boxes), :4] = np.array(boxes, np.float32) / 100
    image[1, : len(scores), :2] = scores
    return image


A, NEAR_A, B = [10, 10, 30, 30], [11, 10, 31, 30], [50, 50, 60, 60]


def test_the_worse_of_two_overlapping_boxes_of_one_label_goes(fixed: bytes) -> None:
    boxes, scores, labels, num = run(fixed, picture([A, NEAR_A, B], [[0.8, 0], [0.9, 0], [0.5, 0]])[None])
    assert num.tolist() == [2]
    assert boxes[0, :2].round(3).tolist() == [NEAR_A, B]
    assert scores[0, :2] == pytest.approx([0.9, 0.5])
    assert labels[0, :2].tolist() == [0, 0]


def test_overlapping_boxes_of_different_labels_both_stay(fixed: bytes) -> None:
    _, scores, labels, num = run(fixed, picture([A, NEAR_A], [[0.8, 0], [0, 0.9]])[None])
    assert (num.tolist(), labels[0, :2].tolist()) == ([2], [1, 0])
    assert scores[0, :2] == pytest.approx([0.9, 0.8])


def test_beyond_num_there_is_nothing(fixed: bytes) -> None:
    boxes, scores, labels, num = run(fixed, picture([A], [[0.8, 0]])[None])
    assert num.tolist() == [1]
    assert (boxes[0, 1:] == 0).all()
    assert (scores[0, 1:] == 0).all()
    assert (labels[0, 1:] == -1).all()


def test_an_image_with_nothing_does_not_disturb_its_neighbours(fixed: bytes) -> None:
    empty, full = picture([A], [[0.0, 0.0]]), picture([A, B], [[0.8, 0], [0, 0.7]])
    _, _, labels, num = run(fixed, np.stack([empty, full, empty, full]))
    assert num.tolist() == [0, 2, 0, 2]
    assert labels[3, :2].tolist() == [0, 1]


def test_the_best_k_of_all_labels_stay(fixed: bytes) -> None:
    far = [[20 * i, 0, 20 * i + 10, 10] for i in range(8)]
    scores = [[0.1 * (i + 1), 0.05] for i in range(8)]
    _, found, labels, num = run(fixed, picture(far, scores)[None])
    assert num.tolist() == [K]
    assert found[0] == pytest.approx([0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    assert labels[0].tolist() == [0] * K


def test_the_threshold_is_an_input(fixed: bytes) -> None:
    image = picture([A, B], [[0.8, 0], [0.4, 0]])[None]
    assert [int(run(fixed, image, threshold)[3][0]) for threshold in (0.1, 0.5, 0.9)] == [2, 1, 0]


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_any_batch_gives_what_each_image_gives_alone(batch: int) -> None:
    graph = export_onnx(Blobs(), image_size=SIZE, classes=2, iou=0.5, max_boxes=K)
    images = np.random.default_rng(batch).random((batch, 3, SIZE, SIZE), np.float32)
    together = run(graph, images)
    for position in range(batch):
        alone = run(graph, images[position : position + 1])
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], many[position], atol=1e-5)


def test_the_same_model_gives_the_same_bytes_without_a_trace_of_this_machine() -> None:
    first, second = (export_onnx(Blobs(), image_size=SIZE, classes=2, iou=0.5, max_boxes=K) for _ in range(2))
    assert first == second
    assert str(Path(__file__).parents[2]).encode() not in first
    assert b".py" not in first


def test_batch_normalisation_is_folded_into_the_convolution() -> None:
    graph = onnx.load_from_string(export_onnx(Blobs(), image_size=SIZE, classes=2, iou=0.5, max_boxes=K))
    assert "BatchNormalization" not in {node.op_type for node in graph.graph.node}
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 18)]


def test_more_boxes_asked_for_than_anchors() -> None:
    graph = export_onnx(Fixed(), image_size=SIZE, classes=2, iou=0.5, max_boxes=1000)
    assert run(graph, picture([A], [[0.8, 0]])[None])[1].shape == (1, 16)


def test_a_model_of_other_labels_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"\(N, A, 3\)"):
        export_onnx(Blobs(), image_size=SIZE, classes=3, iou=0.5, max_boxes=K)
