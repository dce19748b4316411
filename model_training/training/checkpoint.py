"""Checkpoints: safetensors whose metadata holds the rest as JSON, so that one rename makes both real. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from model_training.algorithms import IMPLEMENTATION, build
from model_training.errors import IntegrityError, NotFoundError
from model_training.training.ema import Average
from model_training.training.files import write_atomically

KEY = "cva"


@dataclass(frozen=True)
class Detector:
    """A trained model, in eval mode on the CPU, and what is needed to use it."""

    model: nn.Module
    labels: tuple[str, ...]
    image_size: int
    model_size: str
    algorithm: str
    hyperparameters: Mapping[str, Any]


def save_detector(path: Path, model: nn.Module, about: Mapping[str, Any]) -> None:
    """`about` holds labels, image_size, model_size, algorithm, hyperparameters; more is kept too."""
    _save(path, dict(model.state_dict()), {"implementation": IMPLEMENTATION, **about})


def load_detector(weights: Path) -> Detector:
    """Raises: NotFoundError, IntegrityError."""
    tensors, about = _load(weights)
    try:
        labels = tuple(about["labels"])
        model = build(about["algorithm"], classes=len(labels), model_size=about["model_size"])
        model.load_state_dict(tensors)
        return Detector(
            model.eval(), labels, about["image_size"], about["model_size"], about["algorithm"], about["hyperparameters"]
        )
    except (KeyError, RuntimeError) as error:
        raise IntegrityError(
            f"{weights} does not hold a detector of this version: {error}", hint="train it again"
        ) from error


def save_state(path: Path, model: nn.Module, average: Average, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """All that a resumed trial needs: weights, their average, the optimizer, torch's random state and `state`."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.model.state_dict().items()}
    for number, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in entry.items() if isinstance(value, Tensor)}
    tensors["random"] = torch.get_rng_state()
    _save(path, tensors, {**state, "average_steps": average.steps})


def load_state(path: Path, model: nn.Module, average: Average, optimizer: Optimizer) -> dict[str, Any]:
    """Put everything back in place and return `state`.

    Raises: IntegrityError.
    """
    tensors, state = _load(path)
    try:
        model.load_state_dict(_under(tensors, "model."))
        average.model.load_state_dict(_under(tensors, "average."))
        average.steps = state["average_steps"]
        torch.set_rng_state(tensors["random"])
    except (KeyError, RuntimeError) as error:
        raise IntegrityError(
            f"{path} is not a checkpoint of this trial: {error}", hint="remove it to start anew"
        ) from error
    _load_optimizer(optimizer, _under(tensors, "optimizer."))
    return state


def _load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in tensors.items():
        number, name = key.split(".")
        parameter = parameters[int(number)]
        if value.shape == parameter.shape:  # the parameter's memory layout decides how the update rounds
            value = torch.empty_like(parameter).copy_(value)
        optimizer.state[parameter][name] = value


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _save(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_atomically(path, save(plain, {KEY: json.dumps(about)}))


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise NotFoundError(f"there are no weights at {path}", hint="train first, or check the path")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[KEY])
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise IntegrityError(
            f"{path} is damaged or not ours: {error}", hint="take an earlier copy, or train again"
        ) from error
