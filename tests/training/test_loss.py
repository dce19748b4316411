"""The loss falls when the answer gets better, and is finite where there is nothing to find."""

from __future__ import annotations

import pytest
import torch

from model_training.algorithms import build
from model_training.training.assign import Objects
from model_training.training.loss import complete_iou, detection_loss


def _objects(boxes: list[list[float]], labels: list[int]) -> Objects:
    return Objects(torch.tensor([boxes]), torch.tensor([labels]), torch.ones(1, len(labels), dtype=torch.bool))


NOTHING = Objects(torch.zeros(1, 1, 4), torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1, dtype=torch.bool))


def test_complete_iou_orders_answers() -> None:
    wanted = torch.tensor([[10.0, 10.0, 30.0, 30.0]]).expand(4, 4)
    same, moved, wide, away = complete_iou(
        torch.tensor([[10.0, 10, 30, 30], [12, 12, 32, 32], [0, 15, 40, 25], [50, 50, 70, 70]]), wanted
    ).tolist()
    assert same == pytest.approx(1.0, abs=1e-4)
    assert same > moved > wide > away
    assert away < 0


def test_a_picture_without_objects_gives_a_finite_loss_and_gradient() -> None:
    model = build("yolov5", classes=2, model_size="nano").train()
    loss = detection_loss(model(torch.rand(1, 3, 64, 64)), NOTHING)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_one_picture_can_be_learned_by_heart() -> None:
    torch.manual_seed(1)
    model = build("yolov5", classes=2, model_size="nano").train()
    image = torch.rand(1, 3, 64, 64) * 0.2
    image[:, 0, 8:40, 16:48] = 1.0
    image[:, 2, 50:60, 50:60] = 1.0  # ten pixels
    objects = _objects([[16.0, 8.0, 48.0, 40.0], [50.0, 50.0, 60.0, 60.0]], [0, 1])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = detection_loss(model(image), objects)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
    prediction = model(image)
    for label, box in enumerate(objects.boxes[0]):
        best = prediction.logits[0, :, label].argmax()
        assert (prediction.boxes[0, best] - box).abs().max() < 4
