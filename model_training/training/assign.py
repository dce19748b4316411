"""Which points learn which object: task-aligned assignment. Knows nothing about models or losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LOWEST = 0.01  # IoU that a candidate is taken to have, so that an object nothing overlaps yet is learned too


@dataclass(frozen=True)
class Targets:
    """For every point: `boxes` (N, A, 4) to regress, `scores` (N, A, C) to reach in [0, 1], 0 for background."""

    boxes: Tensor
    scores: Tensor

    @property
    def weights(self) -> Tensor:
        """How good each point is for its object (N, A); 0 is background."""
        return self.scores.sum(-1)


@dataclass(frozen=True)
class Objects:
    """The objects of a batch, padded: `boxes` (N, M, 4) xyxy pixels, `labels` (N, M) int64, `real` (N, M) bool."""

    boxes: Tensor
    labels: Tensor
    real: Tensor


@torch.no_grad()
def assign(
    boxes: Tensor,
    scores: Tensor,
    points: Tensor,
    strides: Tensor,
    objects: Objects,
    *,
    candidates: int = 10,
    score_power: float = 0.5,
    overlap_power: float = 6.0,
) -> Targets:
    """Each object takes its `candidates` points of best score^a * IoU^b; of two objects the greater IoU wins a point.

    `boxes` (N, A, 4) and `scores` (N, A, C) are the model's present answers.
    """
    overlap = pairwise_iou(objects.boxes, boxes).clamp_(min=LOWEST)
    inside = _inside(objects.boxes, points, strides) & objects.real[..., None]
    index = objects.labels[..., None].expand(-1, -1, boxes.shape[1])
    own_score = scores.transpose(1, 2).gather(1, index)
    alignment = own_score.pow(score_power) * overlap.pow(overlap_power) * inside
    chosen = _best(alignment, candidates) & inside
    winner = torch.where(chosen, overlap, -1.0).argmax(1)
    chosen &= torch.arange(chosen.shape[1], device=chosen.device)[:, None] == winner[:, None]
    return _targets(chosen, alignment, overlap, winner, objects, scores.shape[-1])


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """(N, M, 4) against (N, A, 4) gives (N, M, A)."""
    left, top, right, bottom = first[..., None].unbind(2)
    left2, top2, right2, bottom2 = second[:, None].unbind(3)
    width = (torch.minimum(right, right2) - torch.maximum(left, left2)).clamp_(min=0)
    height = (torch.minimum(bottom, bottom2) - torch.maximum(top, top2)).clamp_(min=0)
    shared = width.mul_(height)
    areas = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2)
    return shared / areas.sub_(shared).clamp_(min=1e-7)


def _inside(boxes: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Points within each box (N, M, A); a box that holds none takes the point nearest to its centre."""
    left, top, right, bottom = boxes[..., None].unbind(2)
    x, y = points.unbind(1)
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    nearest = ((x - centre_x).square_() + (y - centre_y).square_() + strides).argmin(-1, keepdim=True)
    rescued = torch.zeros_like(inside).scatter_(-1, nearest, True)
    return torch.where(inside.any(-1, keepdim=True), inside, rescued)


def _best(alignment: Tensor, count: int) -> Tensor:
    top = alignment.topk(min(count, alignment.shape[-1]), -1).indices
    return torch.zeros_like(alignment, dtype=torch.bool).scatter_(-1, top, True)


def _targets(
    chosen: Tensor, alignment: Tensor, overlap: Tensor, winner: Tensor, objects: Objects, classes: int
) -> Targets:
    """Scores are the alignment scaled so that an object's best point aims at its best IoU."""
    kept = alignment * chosen
    best_overlap = (overlap * chosen).amax(-1, keepdim=True)
    scaled = kept / kept.amax(-1, keepdim=True).clamp(min=1e-20) * best_overlap
    weight = scaled.amax(1)
    labels = objects.labels.gather(1, winner)
    scores = torch.zeros(*weight.shape, classes, device=weight.device).scatter_(
        -1, labels[..., None], weight[..., None]
    )
    boxes = objects.boxes.gather(1, winner[..., None].expand(-1, -1, 4))
    return Targets(boxes, scores)
