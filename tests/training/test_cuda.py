"""The same trial on a GPU: bf16 autocast, loader threads, pinned memory. Runs where there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model_training.training.budget import Budget
from model_training.training.checkpoint import load_detector
from model_training.training.files import TrialFolder
from model_training.training.loop import Trial


@pytest.mark.gpu
def test_it_learns_on_a_gpu_and_its_weights_load_without_one(make_trial: Callable[..., Path]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    folder = TrialFolder(make_trial("trial", spec={"device": "cuda"}, number_of_epochs=30))
    trial = Trial(folder.spec(), folder, Budget())
    result = trial.run()
    assert result["metrics"]["mean_average_precision"] > 0.1
    detector = load_detector(folder.best)
    boxes, scores = detector.model(torch.zeros(1, 3, 64, 64))
    assert boxes.device.type == scores.device.type == "cpu"


@pytest.mark.gpu
def test_it_goes_on_from_a_checkpoint_on_a_gpu(make_trial: Callable[..., Path]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    folder = TrialFolder(make_trial("trial", spec={"device": "cuda"}, number_of_epochs=2))
    Trial(folder.spec(), folder, Budget()).run()
    again = Trial(folder.spec(), folder, Budget())
    assert (again.at.epoch, again.progress.share) == (3, 1.0)
