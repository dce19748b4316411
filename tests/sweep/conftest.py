"""A job on a quick trial program: what each trial scores is in its sampled `behaviour`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from model_training.jobs.spec import DataPaths, Distribution, EarlyTermination, JobSpec, Limits
from model_training.sweep.processes import Processes

FAKE = Path(__file__).with_name("fake_trial.py")


class FakeTrials(Processes):
    """Real processes of a program that learns nothing; as many at once as the job wants."""

    def __init__(self) -> None:
        super().__init__("cpu", command=(sys.executable, str(FAKE)))

    def capacity(self, wanted: int) -> int:
        return wanted


@pytest.fixture
def fake_trials() -> FakeTrials:
    return FakeTrials()


MakeJob = Callable[..., JobSpec]


@pytest.fixture
def make_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeJob:
    """A job whose trial n behaves as `behaviours[n]` says."""

    def make(
        behaviours: Sequence[dict[str, Any]],
        *,
        concurrent: int = 1,
        timeout_minutes: float = 5,
        early_termination: EarlyTermination | None = None,
        **run_level: Any,
    ) -> JobSpec:
        monkeypatch.setattr(
            "model_training.sweep.controller.hyperparameters",
            lambda job, sampled: ("yolov5", {"behaviour": behaviours[sampled["number"]]}),
        )
        monkeypatch.setattr(
            "model_training.sweep.study.sample",
            lambda spaces, seed, number: _numbered(number),
        )
        return JobSpec(
            task="image_object_detection",
            primary_metric="mean_average_precision",
            experiment_name="test",
            compute="",
            training_data="train",
            validation_data="",
            validation_data_size=0.2,
            target_column_name="label",
            limits=Limits(timeout_minutes, len(behaviours), concurrent),
            training_parameters={},
            sampling_algorithm="random",
            early_termination=early_termination,
            search_spaces=({"model_name": Distribution("fixed", ("yolov5",))},),
        ).on(DataPaths(tmp_path / "train.jsonl", tmp_path / "validation.jsonl", ("a", "b")), **run_level)

    return make


def _numbered(number: int) -> Any:
    from model_training.sweep.sampling import Sample

    return Sample({"number": number})
