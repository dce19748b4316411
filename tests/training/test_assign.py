"""Every object is learned by some point, by the best ones, and by none twice."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_training.training.assign import Objects, Targets, assign, pairwise_iou


def _grid(size: int = 64) -> tuple[Tensor, Tensor]:
    points, strides = [], []
    for stride in (8, 16, 32):
        steps = (torch.arange(size // stride) + 0.5) * stride
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        points.append(torch.stack((x, y), -1).reshape(-1, 2))
        strides.append(torch.full((len(points[-1]),), float(stride)))
    return torch.cat(points), torch.cat(strides)


def _assign(
    boxes: list[list[float]], labels: list[int], reach: float = 1.5, classes: int = 3
) -> tuple[Targets, Tensor]:
    """Against a model that says the same everywhere: a square of `reach` strides either way, score .1."""
    points, strides = _grid()
    half = (strides * reach)[:, None]
    predicted = torch.cat((points - half, points + half), 1)[None]
    scores = torch.full((1, len(points), classes), 0.1)
    objects = Objects(torch.tensor([boxes]), torch.tensor([labels]), torch.ones(1, len(labels), dtype=torch.bool))
    return assign(predicted, scores, points, strides, objects), points


corner = st.floats(0, 60)
side = st.floats(0.5, 60)


@settings(deadline=None, max_examples=60)
@given(corner, corner, side, side, st.integers(0, 2))
def test_every_object_is_learned_however_small(x: float, y: float, width: float, height: float, label: int) -> None:
    targets, _ = _assign([[x, y, min(x + width, 64), min(y + height, 64)]], [label])
    assert (targets.scores[0, :, label] > 0).any()
    assert targets.scores.max() <= 1
    others = [other for other in range(3) if other != label]
    assert targets.scores[..., others].sum() == 0


def test_an_object_between_all_points_takes_the_nearest_of_the_finest_map() -> None:
    targets, points = _assign([[7.0, 7.0, 9.0, 9.0]], [0])
    taken = points[targets.weights[0] > 0]
    assert len(taken) == 1
    assert (taken - 8.0).abs().max() <= 4.0


def test_no_more_than_ten_points_and_all_inside() -> None:
    targets, points = _assign([[0.0, 0.0, 64.0, 64.0]], [1])
    assert int((targets.weights > 0).sum()) == 10
    targets, points = _assign([[8.0, 8.0, 40.0, 40.0]], [1])
    taken = points[targets.weights[0] > 0]
    assert ((taken > 8) & (taken < 40)).all()


def test_the_best_point_aims_at_its_overlap_with_the_object() -> None:
    targets, _ = _assign([[8.0, 8.0, 40.0, 40.0]], [2])  # the model says 24 x 24 at stride 8
    assert targets.scores.max().item() == pytest.approx(24**2 / 32**2)


def test_a_point_of_two_objects_belongs_to_the_greater_overlap() -> None:
    targets, _ = _assign([[4.0, 4.0, 36.0, 36.0], [8.0, 8.0, 32.0, 32.0]], [0, 1])
    both = (targets.scores[0] > 0).sum(-1)
    assert int(both.max()) == 1
    assert (targets.scores[0, :, 0] > 0).any()
    assert (targets.scores[0, :, 1] > 0).any()


def test_padding_is_no_object() -> None:
    points, strides = _grid()
    objects = Objects(torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.bool))
    predicted = torch.cat((points - 8, points + 8), 1)[None]
    assert assign(predicted, torch.rand(1, len(points), 3), points, strides, objects).scores.sum() == 0


def test_pairwise_overlap() -> None:
    first = torch.tensor([[[0.0, 0.0, 2.0, 2.0]]])
    second = torch.tensor([[[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]]])
    assert torch.allclose(pairwise_iou(first, second), torch.tensor([[[1 / 3, 1.0, 0.0]]]))
