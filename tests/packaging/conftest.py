"""One real bundle of a small one-stage detector with random weights, made once for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from model_training.algorithms import build, defaults
from model_training.packaging.bundle import Source, make_bundle
from model_training.training.checkpoint import save_detector
from model_training.workspaces.base import Bundle, TrialResult
from tests.packaging.shapes import LABELS, SIZE, draw


@dataclass(frozen=True)
class Made:
    """A trial, its data, and what was packaged of it."""

    trial: TrialResult
    validation: Path
    test: Path
    source: Source
    bundle: Bundle
    said: list[str]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    weights = folder / "best.safetensors"
    about = {
        "labels": LABELS,
        "image_size": SIZE,
        "model_size": "nano",
        "algorithm": "yolov5",
        "hyperparameters": defaults("yolov5") | {"box_detections_per_image": 20},
    }
    save_detector(weights, build("yolov5", classes=2, model_size="nano"), about)
    trial = TrialResult(0, "completed", "yolov5", {}, {}, 3, 5, 1.0, 1.0, folder, weights)
    validation, test = draw(folder, "validation", 9, 1), draw(folder, "test", 9, 2)
    source = Source("Shapes", "shapes", "1", "a" * 64, "b" * 64, "run-1", "c" * 40, 7)
    said: list[str] = []
    bundle = make_bundle(
        trial,
        labels=LABELS,
        validation=validation,
        test=test,
        source=source,
        folder=folder / "run" / "bundle",
        reporter=lambda event: said.append(event.text),
    )
    return Made(trial, validation, test, source, bundle, said)
