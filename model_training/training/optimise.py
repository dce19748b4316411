"""The optimizer and the learning rate of each step. Knows nothing about data or time."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from model_training.training.settings import Hyperparameters

WARM_UP_SHARE = 0.05  # of a run, at most


def make_optimizer(model: nn.Module, settings: Hyperparameters) -> Optimizer:
    """Weight decay falls on weights alone, not on biases and normalisation."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = settings.learning_rate
    if settings.optimizer == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return SGD(groups, rate, settings.momentum, nesterov=nesterov, foreach=True)
    kind = Adam if settings.optimizer == "adam" else AdamW
    return kind(groups, rate, (settings.beta1, settings.beta2), amsgrad=settings.ams_gradient, foreach=True)


def learning_rate(settings: Hyperparameters, epochs_done: float, progress: float) -> float:
    """`progress` is the share of the run that is over, of its epochs or of its budget, whichever is further.

    The warm-up lies over the cosine and takes no more than a twentieth of the run.
    """
    rate = settings.learning_rate
    if settings.learning_rate_scheduler == "step":
        return rate * settings.step_lr_gamma ** (int(epochs_done) // settings.step_lr_step_size)
    if settings.learning_rate_scheduler == "none":
        return rate
    warm_epochs = settings.warmup_cosine_lr_warmup_epochs
    warm = 1.0 if not warm_epochs else min(1.0, max(epochs_done / warm_epochs, progress / WARM_UP_SHARE))
    cosine = 0.5 * (1 + math.cos(2 * math.pi * settings.warmup_cosine_lr_cycles * min(progress, 1.0)))
    return rate * warm * cosine


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def freeze(model: nn.Module, layers: int) -> None:
    """The first `layers` stages learn nothing; their normalisation keeps its statistics (`keep_frozen`)."""
    for stage in _stages(model)[:layers]:
        stage.requires_grad_(False)


def keep_frozen(model: nn.Module, layers: int) -> None:
    """After `model.train()`: frozen stages stay in eval mode."""
    for stage in _stages(model)[:layers]:
        stage.eval()


def clip(model: nn.Module, most: float = 10.0) -> None:
    torch.nn.utils.clip_grad_norm_(model.parameters(), most, foreach=True)


def _stages(model: nn.Module) -> list[nn.Module]:
    stages: list[nn.Module] = model.stages()  # type: ignore[operator]
    return stages
