"""What a trial's process is given: cores, threads, GPUs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_training.sweep import processes
from model_training.sweep.processes import Processes, visible_gpus


def test_trials_on_cores_are_never_more_than_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS")
    trials = Processes("cpu")
    assert [trials.capacity(wanted) for wanted in (1, 4, 9)] == [1, 4, 4]
    assert [trials.threads(concurrent) for concurrent in (1, 2, 3, 4)] == [4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert trials.threads(1) == 2, "the caller's own bound is kept"
    assert Processes("cpu", threads=3).threads(1) == 3


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's tool that lists two GPUs, and a torch that could use them."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(processes, "_torch_has_no_cuda", lambda: False)


def test_gpus_are_given_in_turn(two_gpus: None) -> None:
    trials = Processes()
    assert (trials.device, trials.gpus, trials.capacity(5)) == ("cuda", ("0", "1"), 5)
    given = [trials._environment(slot, 1)["CUDA_VISIBLE_DEVICES"] for slot in range(4)]
    assert given == ["0", "1", "0", "1"]


def test_the_callers_choice_of_gpus_is_kept(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert visible_gpus() == ("1",)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == () and Processes().device == "cpu"


def test_a_run_on_the_processor_hides_the_gpus(two_gpus: None) -> None:
    trials = Processes("cpu")
    assert trials.device == "cpu" and trials._environment(0, 1)["CUDA_VISIBLE_DEVICES"] == ""


def test_a_torch_without_cuda_sees_no_gpu(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_torch_has_no_cuda", lambda: True)
    assert visible_gpus() == ()
