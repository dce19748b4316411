"""The loss falls when the answer gets better, and is finite where there is nothing to find."""

from __future__ import annotations

import pytest
import torch

from model_training.algorithms import build
from model_training.training.assign import Objects
from model_training.training.loss import complete_iou, detection_loss, label_weights


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
    loss = detection_loss(model(torch.rand(1, 3, 64, 64)), NOTHING, torch.ones(2))
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
        loss = detection_loss(model(image), objects, torch.ones(2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
    prediction = model(image)
    for label, box in enumerate(objects.boxes[0]):
        best = prediction.logits[0, :, label].argmax()
        assert (prediction.boxes[0, best] - box).abs().max() < 4


def test_rare_labels_weigh_more_and_even_ones_the_same() -> None:
    assert label_weights(torch.tensor([50, 50, 50])).tolist() == pytest.approx([1, 1, 1])
    common, rare, absent = label_weights(torch.tensor([1000, 100, 0])).tolist()
    assert common < rare < absent
    assert absent / common < 16.01


def test_a_label_of_greater_weight_pulls_harder() -> None:
    torch.manual_seed(0)
    model = build("yolov5", classes=2, model_size="nano").train()
    image, objects = torch.rand(1, 3, 64, 64), _objects([[0.0, 0.0, 32.0, 32.0], [32.0, 32.0, 64.0, 64.0]], [0, 1])

    def pull(weights: list[float]) -> float:
        bias = model.get_parameter("heads.0.score.1.bias")
        (gradient,) = torch.autograd.grad(detection_loss(model(image), objects, torch.tensor(weights)), bias)
        return (gradient[1] / gradient[0]).item()

    assert pull([0.5, 1.5]) == pytest.approx(3 * pull([1.0, 1.0]), rel=0.05)
