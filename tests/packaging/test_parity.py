"""The parity check sees an exported file that differs, and says by how much."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_training.errors import TrainingError
from model_training.packaging.export import export_onnx
from model_training.packaging.parity import BATCHES, check_parity, count_misjudged, differences
from tests.packaging.shapes import SIZE, Blobs

IMAGES = list(np.random.default_rng(3).random((5, 3, SIZE, SIZE), np.float32))


def exported(model: torch.nn.Module, *, iou: float = 0.5, max_boxes: int = 20) -> bytes:
    return export_onnx(model, image_size=SIZE, classes=2, iou=iou, max_boxes=max_boxes)


class Crowded(torch.nn.Module):
    """Boxes that overlap their neighbours, so that suppression has something to do."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = images[:, :2, :8, :8].flatten(2).transpose(1, 2)
        corner = images[:, 2, :8, :8].flatten(1)[..., None] * 30
        return torch.cat((corner, corner, corner + 20, corner + 20), -1), scores


def test_an_export_agrees_in_every_batch() -> None:
    parity = check_parity(exported(Crowded()), Crowded(), IMAGES, iou=0.5, max_boxes=20)
    assert parity.detections > 30
    assert parity.misjudged == 0
    assert parity.max_box_px < 1e-3
    assert parity.max_score < 1e-5
    assert (parity.images, parity.batches) == (5, BATCHES)


@pytest.mark.parametrize(
    ("made_with", "word"),
    [
        ({"iou": 0.9}, "against the rule"),  # suppression that differs
        ({"max_boxes": 2}, "against the rule"),  # boxes lost at the end
    ],
)
def test_other_suppression_is_refused(made_with: dict[str, float], word: str) -> None:
    with pytest.raises(TrainingError, match=word):
        check_parity(exported(Crowded(), **made_with), Crowded(), IMAGES, iou=0.5, max_boxes=20)


def test_other_weights_are_refused() -> None:
    other = Blobs()
    with torch.no_grad():
        other.score.bias += 0.5
    with pytest.raises(TrainingError, match=r"scores by up to 0\.0"):
        check_parity(exported(Blobs()), other, IMAGES, iou=0.5, max_boxes=20)


def test_shifted_boxes_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"boxes by up to 0\.5 px"):
        check_parity(exported(Blobs(0.5)), Blobs(), IMAGES, iou=0.5, max_boxes=20)


class Even(torch.nn.Module):
    """An untrained model: every box scores the same, up to the last bit."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        boxes, scores = Crowded()(images)
        return boxes, 0.01 + scores * 1e-8


def test_equal_scores_may_be_taken_in_any_order() -> None:
    parity = check_parity(exported(Even()), Even(), IMAGES, iou=0.5, max_boxes=20)
    assert parity.misjudged == 0


BOXES = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [40, 40, 50, 50]], np.float32)
RAW = (BOXES, np.array([[0.9], [0.5], [0.4]], np.float32))


def found(*rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return BOXES[list(rows)], RAW[1][list(rows), 0], np.zeros(len(rows), np.int64)


@pytest.mark.parametrize(
    ("kept", "most", "wrong"),
    [
        ((0, 2), 20, 0),  # what suppression gives
        ((0, 1, 2), 20, 1),  # a neighbour kept
        ((0,), 20, 1),  # a box lost
        ((0,), 1, 0),  # there was room for one alone
        ((2,), 1, 1),  # and it went to the wrong one: both others are better, one of them would have covered the other
        ((1, 2), 20, 1),  # the worse of two neighbours
    ],
)
def test_the_rule_of_suppression(kept: tuple[int, ...], most: int, wrong: int) -> None:
    assert (count_misjudged(RAW, found(*kept), 0.5, most) > 0) == (wrong > 0)


def test_a_box_without_area_is_judged_like_others() -> None:
    """It overlaps nothing, itself neither: suppression keeps it."""
    flat = np.array([[5, 5, 5, 20]], np.float32)
    raw = (flat, np.array([[0.3]], np.float32))
    assert count_misjudged(raw, (flat, raw[1][:, 0], np.zeros(1, np.int64)), 0.5, 20) == 0
    assert count_misjudged(raw, (flat[:0], raw[1][:0, 0], np.zeros(0, np.int64)), 0.5, 20) == 1


def test_a_detection_is_one_of_the_raw_boxes() -> None:
    boxes, scores, labels = found(0, 2)
    assert differences(RAW, (boxes, scores, labels)) == (0.0, 0.0)
    far, off = differences(RAW, (boxes + 0.5, scores + 0.25, labels))
    assert (far, off) == (0.5, pytest.approx(0.25))
