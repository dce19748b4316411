"""What the one-stage detector minimises: soft cross-entropy of the scores and CIoU of the boxes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from model_training.algorithms.one_stage import Prediction
from model_training.training.assign import Objects, assign

BOX_GAIN = 2.5
SCORE_GAIN = 1.0
BALANCE = 0.5


def label_weights(counts: Tensor) -> Tensor:
    """How much each label weighs, from how many objects it has: rare ones more, by the root, within bounds; mean 1."""
    shares = counts.float().clamp(min=1)
    weights = (shares.mean() / shares).pow(BALANCE).clamp(0.25, 4.0)
    return weights / weights.mean()


def detection_loss(prediction: Prediction, objects: Objects, weights: Tensor) -> Tensor:
    """One number; finite for a batch with no objects. `weights` (C,) says how much each label weighs."""
    targets = assign(
        prediction.boxes.detach(), prediction.logits.detach().sigmoid(), prediction.points, prediction.strides, objects
    )
    wanted = targets.scores * weights
    total = wanted.sum().clamp(min=1.0)
    entropy = functional.binary_cross_entropy_with_logits(prediction.logits, targets.scores, reduction="none")
    taken = targets.weights > 0
    overlap = complete_iou(prediction.boxes[taken], targets.boxes[taken])
    boxes = ((1 - overlap) * wanted.sum(-1)[taken]).sum()
    return (BOX_GAIN * boxes + SCORE_GAIN * (entropy * weights).sum()) / total


def complete_iou(boxes: Tensor, wanted: Tensor) -> Tensor:
    """IoU less the penalties for centre distance and shape, for pairs of boxes (n, 4) xyxy."""
    size, wanted_size = boxes[:, 2:] - boxes[:, :2], wanted[:, 2:] - wanted[:, :2]
    shared = (
        (torch.minimum(boxes[:, 2:], wanted[:, 2:]) - torch.maximum(boxes[:, :2], wanted[:, :2])).clamp(min=0).prod(-1)
    )
    iou = shared / (size.prod(-1) + wanted_size.prod(-1) - shared + 1e-7)
    hull = torch.maximum(boxes[:, 2:], wanted[:, 2:]) - torch.minimum(boxes[:, :2], wanted[:, :2])
    distance = (boxes[:, :2] + boxes[:, 2:] - wanted[:, :2] - wanted[:, 2:]).square().sum(-1) / 4
    shape = _angle(wanted_size) - _angle(size)
    aspect = 4 / math.pi**2 * shape.square()
    with torch.no_grad():
        weight = aspect / (aspect - iou + 1 + 1e-7)
    return iou - distance / (hull.square().sum(-1) + 1e-7) - weight * aspect


def _angle(size: Tensor) -> Tensor:
    return torch.atan(size[:, 0] / (size[:, 1] + 1e-7))
