"""Which boxes are kept, and where they lie in the image."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_training.training.assign import pairwise_iou
from model_training.training.validate import Selection, fractions, select_boxes


def _boxes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 60
    boxes = torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=generator) * 30), 1)
    return boxes, 0.01 + 0.99 * torch.rand(count, 2, generator=generator)  # above the lowest score that is kept


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(0, 1000), st.floats(0.1, 0.9))
def test_kept_boxes_of_one_label_overlap_little_and_each_dropped_one_has_a_better_neighbour(
    count: int, seed: int, iou: float
) -> None:
    boxes, scores = _boxes(count, seed)
    kept = select_boxes(boxes, scores, Selection(iou, 1000))
    assert (np.diff(kept.scores) <= 0).all()
    for label in range(2):
        mine = torch.from_numpy(kept.boxes[kept.labels == label])
        among = pairwise_iou(mine[None], mine[None])[0].fill_diagonal_(0)
        assert not len(mine) or among.max() <= iou + 1e-5
        over = pairwise_iou(boxes[None], mine[None])[0]
        assert (over.max(1).values > iou - 1e-5).all()  # itself, or what suppressed it


def test_scores_below_the_lowest_and_boxes_beyond_the_most_are_left_out() -> None:
    boxes, scores = _boxes(30, 3)
    assert len(select_boxes(boxes, scores, Selection(0.5, 4))) == 4
    assert select_boxes(boxes, scores, Selection(0.9, 1000, lowest=0.6)).scores.min() >= 0.6
    assert len(select_boxes(boxes, scores * 0, Selection(0.5, 4))) == 0


def test_pixels_of_the_square_become_fractions_of_the_image() -> None:
    detections = select_boxes(torch.tensor([[16.0, 12.0, 80.0, 60.0]]), torch.tensor([[0.9]]), Selection(0.5, 4))
    assert fractions(detections, np.array([64, 48])).boxes.tolist() == [[0.25, 0.25, 1.0, 1.0]]
