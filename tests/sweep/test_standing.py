"""Who won, as people and programs read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.jobs.load import parse_job
from model_training.jobs.spec import DataPaths, JobSpec
from model_training.sweep.progress import duration, leaderboard_text
from model_training.sweep.standing import best_trial, leaderboard, searched
from model_training.workspaces.base import Event, TrialResult
from scoring.errors import TrainingError
from tests.jobs.jobs_text import JOB

METRIC = "mean_average_precision"


def result(number: int, value: float | None, *, weights: bool = True, status: str = "completed") -> TrialResult:
    values = {"learning_rate": 0.001 * (number + 1), "model_size": "small"}
    metrics = {} if value is None else {METRIC: value}
    kept = Path("best.safetensors") if weights else None
    return TrialResult(number, status, "yolov5", values, metrics, 2, 5, 7.0, 9.0, Path("t"), kept)


def job() -> JobSpec:
    return parse_job(JOB, "job.yml").on(DataPaths(Path("t"), Path("v"), ("a",)))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.none() | st.floats(0, 1), st.booleans()), min_size=1, max_size=8))
def test_order(entries: list[tuple[float | None, bool]]) -> None:
    """With weights before without, defined before undefined, greater before smaller, then by number; none is lost."""
    results = {n: result(n, value, weights=weights) for n, (value, weights) in enumerate(entries)}
    ranked = leaderboard(results, METRIC)
    assert sorted(each.number for each in ranked) == sorted(results)
    keys = [(r.weights is None, not r.metrics, -r.metrics.get(METRIC, 0.0), r.number) for r in ranked]
    assert keys == sorted(keys)


def test_the_winner_is_told_with_a_table(tmp_path: Path) -> None:
    events: list[Event] = []
    best = best_trial(job(), {0: result(0, 0.25), 1: result(1, 0.5)}, tmp_path, events.append, "")
    assert best.best.number == 1
    assert events[0].text.splitlines() == [
        "trial  mAP   status     learning_rate  model_size  epochs  cpu_seconds  reason",
        "2      0.5   completed  0.002          small       5       7",
        "1      0.25  completed  0.001          small       5       7",
        "best of 2: trial 2 with mAP 0.500",
    ]
    assert (tmp_path / "leaderboard.json").is_file()


def test_only_what_differs_between_trials_has_a_column() -> None:
    assert searched(job()) == ["learning_rate", "model_size"]
    assert searched(replace(job(), overrides={"model_size": "nano"})) == ["learning_rate"]


def test_nothing_to_choose_from_is_an_error(tmp_path: Path) -> None:
    cut = {0: result(0, None, weights=False, status="stopped")}
    with pytest.raises(TrainingError, match="no trial finished an evaluated epoch: time is up"):
        best_trial(job(), cut, tmp_path, lambda event: None, "time is up")
    failed = {**cut, 1: result(1, None, weights=False, status="failed")}
    with pytest.raises(TrainingError, match="1 of 2 trials failed"):
        best_trial(job(), failed, tmp_path, lambda event: None, "")
    assert not (tmp_path / "leaderboard.json").exists()


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (130, "2:10"), (3723.4, "1:02:03"), (-5, "0:00")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_undefined_values_in_the_table() -> None:
    assert leaderboard_text([{"trial": 1, "mAP": None}]).splitlines()[1] == "1      -"
