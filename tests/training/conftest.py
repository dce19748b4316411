"""A data set of plain squares that a detector learns in seconds, and a trial's folder around it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from model_training.data.jsonl import write_rows
from model_training.data.rows import Box, Row
from model_training.training.spec import TrialSpec

LABELS = ("blue", "red")
COLOURS = {"blue": (20, 30, 220), "red": (220, 30, 20)}
TINY = {
    "image_size": 64,
    "model_size": "nano",
    "number_of_epochs": 2,
    "training_batch_size": 4,
    "validation_batch_size": 4,
    "learning_rate": 0.002,
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


def draw_squares(folder: Path, count: int, seed: int = 0, size: tuple[int, int] = (96, 72)) -> Path:
    """Pictures with one or two squares each; returns the JSONL."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_square(folder, f"{number}.png", rng, size) for number in range(count)]
    write_rows(folder / "data.jsonl", rows)
    return folder / "data.jsonl"


def _square(folder: Path, name: str, rng: np.random.Generator, size: tuple[int, int]) -> Row:
    width, height = size
    pixels = rng.integers(90, 140, (height, width, 3)).astype(np.uint8)
    boxes = []
    for half in range(int(rng.integers(1, 3))):  # one in the left half, one in the right
        side = int(rng.integers(16, 32))
        left = half * width // 2 + int(rng.integers(0, width // 2 - side))
        top = int(rng.integers(0, height - side))
        label = LABELS[int(rng.integers(2))]
        pixels[top : top + side, left : left + side] = COLOURS[label]
        boxes.append(Box(label, left / width, top / height, (left + side) / width, (top + side) / height))
    Image.fromarray(pixels).save(folder / name)
    return Row(image_url=name, boxes=tuple(boxes), width=width, height=height)


@pytest.fixture
def make_squares() -> Callable[..., Path]:
    return draw_squares


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train.jsonl` of 12 pictures and `validation.jsonl` of 6, with their images; not to be changed."""
    folder = tmp_path_factory.mktemp("squares")
    draw_squares(folder / "train", 12, 1)
    draw_squares(folder / "validation", 6, 2)
    return folder


@pytest.fixture
def make_trial(tmp_path: Path, squares: Path) -> Callable[..., Path]:
    """Write a trial's folder: hyperparameters as keywords, fields of the spec in `spec`."""

    def make(name: str = "trial", spec: dict[str, Any] | None = None, **hyperparameters: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        trial = TrialSpec(
            number=0,
            algorithm="yolov5",
            hyperparameters={**TINY, **hyperparameters},
            labels=LABELS,
            train=str(squares / "train" / "data.jsonl"),
            validation=str(squares / "validation" / "data.jsonl"),
            primary_metric="mean_average_precision",
            seed=3,
        )
        values = {**dataclasses.asdict(trial), **(spec or {})}
        (folder / "trial.json").write_text(json.dumps(values))
        return folder

    return make
