"""Algorithms by the name that jobs give them. Importing this costs nothing; `build` imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from model_training.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

IMPLEMENTATION = "cva one-stage detector 1"

# What a job that names `yolov5` gets where it says nothing; measured in docs/experiments.
_ONE_STAGE: Mapping[str, Any] = {
    "number_of_epochs": 100,
    "image_size": 640,
    "model_size": "small",
    "learning_rate": 0.003,
    "optimizer": "adamw",
    "momentum": 0.9,
    "nesterov": True,
    "beta1": 0.9,
    "beta2": 0.999,
    "ams_gradient": False,
    "weight_decay": 0.05,
    "training_batch_size": 8,
    "validation_batch_size": 8,
    "learning_rate_scheduler": "warmup_cosine",
    "step_lr_gamma": 0.5,
    "step_lr_step_size": 30,
    "warmup_cosine_lr_cycles": 0.5,
    "warmup_cosine_lr_warmup_epochs": 2,
    "early_stopping": False,
    "early_stopping_patience": 20,
    "early_stopping_delay": 20,
    "evaluation_frequency": 1,
    "box_score_threshold": None,
    "nms_iou_threshold": 0.5,
    "box_detections_per_image": 100,
    "multi_scale": False,
    "layers_to_freeze": 0,
}
_DEFAULTS = {"yolov5": _ONE_STAGE}
MODEL_SIZES = ("pico", "nano", "small", "medium", "large", "extra_large")  # job files name small and up


def names() -> tuple[str, ...]:
    """The algorithms that this machine can train."""
    return tuple(_DEFAULTS)


def defaults(name: str) -> dict[str, Any]:
    """The algorithm's own hyperparameters; `box_score_threshold` None means: choose it on the validation images."""
    return dict(_DEFAULTS[_known(name)])


def build(name: str, *, classes: int, model_size: str) -> nn.Module:
    """A model with random weights.

    Raises: UsageError for a name or a size that is not there.
    """
    from model_training.algorithms.one_stage import SIZES, OneStage

    _known(name)
    return OneStage(classes, SIZES[check_model_size(model_size)])


def check_model_size(name: str) -> str:
    """Raises: UsageError."""
    if name not in MODEL_SIZES:
        raise UsageError(f"expected model_size to be one of {', '.join(MODEL_SIZES)}, found {name!r}")
    return name


def _known(name: str) -> str:
    if name not in _DEFAULTS:
        raise UsageError(f"algorithm {name!r} is not available here", hint=f"available: {', '.join(names())}")
    return name
