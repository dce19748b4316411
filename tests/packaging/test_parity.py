"""The parity check sees an exported file that differs, and says by how much."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_training.errors import TrainingError
from model_training.packaging.export import export_onnx
from model_training.packaging.parity import BATCHES, check_parity, match
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
    assert parity.unmatched == 0
    assert parity.max_box_px < 1e-3
    assert parity.max_score < 1e-5
    assert (parity.images, parity.batches) == (5, BATCHES)


@pytest.mark.parametrize(
    ("made_with", "word"),
    [
        ({"iou": 0.9}, "in one of them only"),  # suppression that differs
        ({"max_boxes": 2}, "in one of them only"),  # boxes lost at the end
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


def test_a_box_has_at_most_one_partner() -> None:
    box, label = np.array([[0, 0, 9, 9]], np.float32), np.zeros(1, np.int64)
    one = (box, np.array([0.5], np.float32), label)
    two = (np.repeat(box, 2, 0), np.array([0.5, 0.5], np.float32), np.zeros(2, np.int64))
    assert match(one, two) == ([0.0], [0.0], 1)
    assert match(two, one) == ([0.0], [0.0], 1)
    assert match(one, (box, one[1], label + 1)) == ([], [], 2)
