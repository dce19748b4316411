"""The detector's shapes, sizes and what its answers mean."""

from __future__ import annotations

import pytest
import torch

from model_training import algorithms
from model_training.algorithms.one_stage import SIZES, Prediction
from model_training.errors import UsageError


def test_the_sizes_that_can_be_asked_for_are_those_that_can_be_built() -> None:
    assert tuple(SIZES) == algorithms.MODEL_SIZES


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("height, width", [(64, 64), (96, 64), (32, 160)])  # square, and either way longer
def test_eval_answers_with_boxes_in_pixels_and_scores(height: int, width: int) -> None:
    model = algorithms.build("yolov5", classes=3, model_size="nano").eval()
    with torch.inference_mode():
        boxes, scores = model(torch.rand(2, 3, height, width))
    cells = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    assert boxes.shape == (2, cells, 4)
    assert scores.shape == (2, cells, 3)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (boxes[..., 2:] > boxes[..., :2]).all()
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    assert centres[..., 0].max() < width + 64
    assert centres[..., 1].max() < height + 64


def test_training_answers_with_a_prediction_and_each_point_lies_in_its_box() -> None:
    model = algorithms.build("yolov5", classes=2, model_size="nano").train()
    prediction = model(torch.rand(2, 3, 64, 64))
    assert isinstance(prediction, Prediction)
    assert (prediction.boxes[..., :2] <= prediction.points).all()
    assert (prediction.boxes[..., 2:] >= prediction.points).all()
    assert prediction.points[0].tolist() == [4.0, 4.0]
    assert prediction.strides.unique().tolist() == [8.0, 16.0, 32.0]


def test_sizes_grow() -> None:
    counts = []
    for name in SIZES:
        with torch.device("meta"):
            model = algorithms.build("yolov5", classes=3, model_size=name)
        counts.append(sum(parameter.numel() for parameter in model.parameters()))
    assert list(SIZES) == ["pico", "nano", "small", "medium", "large", "extra_large"]
    assert counts == sorted(counts)
    assert counts[0] < 0.35e6
    assert counts[1] < 3e6
    assert 5e6 < counts[2] < 15e6
    assert 30e6 < counts[-1] < 100e6


def test_scores_begin_low_and_boxes_of_a_sensible_size() -> None:
    torch.manual_seed(0)
    model = algorithms.build("yolov5", classes=5, model_size="nano").train()
    prediction = model(torch.rand(2, 3, 128, 128))
    assert prediction.logits.sigmoid().mean().item() < 0.05
    sides = (prediction.boxes[..., 2:] - prediction.boxes[..., :2]) / prediction.strides[:, None]
    assert 2 < sides.mean().item() < 8


def test_names_defaults_and_what_is_not_there() -> None:
    assert algorithms.names() == ("yolov5",)
    assert algorithms.defaults("yolov5")["optimizer"] == "adamw"
    algorithms.defaults("yolov5")["optimizer"] = "changed"
    assert algorithms.defaults("yolov5")["optimizer"] == "adamw"
    with pytest.raises(UsageError, match=r"fasterrcnn.*\n.*available: yolov5"):
        algorithms.build("fasterrcnn_resnet50_fpn", classes=3, model_size="small")
    with pytest.raises(UsageError, match="nano, small, medium, large, extra_large"):
        algorithms.build("yolov5", classes=3, model_size="huge")


def test_stages_that_can_be_frozen_are_most_of_the_model() -> None:
    model = algorithms.build("yolov5", classes=3, model_size="nano")
    assert len(model.stages()) == 6  # type: ignore[operator]
