"""The sizes that a budget on processor cores gets, as docs/job-file.md states the rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model_training.jobs.load import parse_job
from model_training.jobs.spec import JobSpec, Limits
from model_training.sweep.budget import fit_to_budget

TEXT = """
type: automl
task: image_object_detection
target_column_name: label
compute: local
training_data: {path: "azureml:caps:1"}
"""
SEARCH = """
limits: {max_trials: 2, max_concurrent_trials: 2}
sweep: {sampling_algorithm: random}
search_space:
  - model_size: {type: choice, values: [small, medium]}
"""


def job(more: str = "", **run_level: Any) -> JobSpec:
    return replace(parse_job(TEXT + more, "job.yml"), **run_level)


def fitted(spec: JobSpec, device: str = "cpu") -> tuple[dict[str, Any], str]:
    found, why = fit_to_budget(spec, device=device, cores=2, concurrent=spec.limits.max_concurrent_trials)
    return dict(found.overrides), why


def test_ten_minutes_on_two_cores() -> None:
    assert fitted(job(budget_minutes=10)) == (
        {"model_size": "nano", "image_size": 320},
        "nano at 320 px: 2 CPU cores, 10 min",
    )


def test_a_searched_size_gives_way_to_nano() -> None:
    chosen, why = fitted(job(SEARCH, budget_cpu_seconds=600.0))
    assert chosen == {"model_size": "nano", "image_size": 320}
    assert why == "nano at 320 px: 2 CPU cores, 600 CPU-seconds a trial"


@pytest.mark.parametrize(("minutes", "pixels"), [(3.5, 256), (4, 320), (30, 320), (31, 416), (120, 416), (121, 640)])
def test_image_size_follows_from_the_cpu_time_of_a_trial(minutes: float, pixels: int) -> None:
    assert fitted(job(budget_minutes=minutes))[0]["image_size"] == pixels
    # two trials one after the other have half of it each
    if minutes >= 4:
        halved = job(budget_minutes=2 * minutes, limits=Limits(10080, 2, 1))
        assert fitted(halved)[0]["image_size"] == pixels


@pytest.mark.parametrize(
    ("minutes", "trials", "why"),
    [
        (1, 2, "nano at 256 px, 2 of 10 trials: 2 CPU cores, 1 min"),  # one wave, however short
        (5, 2, "nano at 256 px, 2 of 10 trials: 2 CPU cores, 5 min"),
        (8, 4, "nano at 256 px, 4 of 10 trials: 2 CPU cores, 8 min"),  # two waves of four minutes
        (60, 10, "nano at 320 px: 2 CPU cores, 60 min"),
    ],
)
def test_a_short_budget_has_room_for_fewer_trials(minutes: float, trials: int, why: str) -> None:
    spec = job(budget_minutes=minutes, limits=Limits(10080, 10, 2))
    found, said = fit_to_budget(spec, device="cpu", cores=2, concurrent=2)
    assert (found.limits.max_trials, said) == (trials, why)


@pytest.mark.parametrize(
    ("more", "chosen"),
    [
        ("training_parameters: {model_size: small}", {"image_size": 320}),
        ("training_parameters: {image_size: 640}", {"model_size": "nano"}),
        ("training_parameters: {image_size: 640, model_size: small}", {}),
        (SEARCH.replace("{type: choice, values: [small, medium]}", "small"), {"image_size": 320}),
    ],
)
def test_what_the_job_fixes_stays(more: str, chosen: dict[str, Any]) -> None:
    found, why = fitted(job(more, budget_minutes=10))
    assert found == chosen and bool(why) == bool(chosen)


def test_without_a_budget_or_with_a_gpu_there_is_no_rule() -> None:
    assert fitted(job()) == ({}, "")
    assert fitted(job(budget_minutes=10), device="cuda") == ({}, "")


def test_what_the_run_says_stays() -> None:
    found, _ = fitted(job(budget_minutes=10, overrides={"model_size": "small"}))
    assert found == {"model_size": "small", "image_size": 320}
