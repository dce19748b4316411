"""The service's settings and numbers as they come: texts for numbers, -1 and NaN for nothing, and anything beside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model_training.packaging.automl_words import SCORE, own_numbers, scalars, setting

HUGE = 10**400  # a whole number that no float can hold


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.25, 0.25),
        ("0.25", 0.25),  # as a run's parameters are stored
        (1, 1.0),
        (True, 0.5),  # a switch is no number
        ("often", 0.5),
        ("nan", 0.5),
        (float("inf"), 0.5),
        (1.5, 0.5),  # out of range
        (HUGE, 0.5),
        (None, 0.5),
        ([0.25], 0.5),
    ],
)
def test_a_setting_is_a_number_in_its_range_or_the_default(value: Any, expected: float) -> None:
    assert setting([{"box_score_threshold": value}], SCORE, 0.5, 0, 1) == expected


def test_the_jobs_words_come_before_the_services_and_new_names_before_old_ones() -> None:
    job, service = {"box_score_thresh": 0.2}, {"box_score_thresh": 0.1, "box_score_threshold": 0.4}
    assert setting([job, service], SCORE, 0.5, 0, 1) == 0.2
    assert setting([{}, service], SCORE, 0.5, 0, 1) == 0.4


@pytest.mark.parametrize(
    "per_label",
    [
        {"cap": {"average_precision": 0.5, "recall": -1, "precision": float("nan"), "f1": 1}},
        {"per_label_metrics": {"cap": {"average_precision": 0.5}, "other": {"average_precision": 1}}},
        {"cap": {"average_precision": 0.5}, "tin": "none", "per_label_metrics": "none"},
    ],
)
def test_what_is_undefined_is_left_out(per_label: dict[str, Any]) -> None:
    metrics = {"precision": 0, "recall": "1", "auc": -1, "time": HUGE, "flag": True, "curve": [1, 2]}
    assert own_numbers(metrics, per_label, ["cap", "tin"]) == {
        "metrics": {"precision": 0.0},
        "per_label": {"cap": {"average_precision": 0.5}},
    }


def test_only_what_json_can_hold_is_kept() -> None:
    words = {"a": 1, "b": None, "c": "x" * 201, "d": [1], "e": float("nan"), "f": "adam", "g": HUGE, "h": False}
    kept = scalars(words)
    assert kept == {"a": 1, "b": None, "f": "adam", "h": False}
    json.dumps(kept, allow_nan=False)
