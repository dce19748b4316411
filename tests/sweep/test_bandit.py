"""The bandit policy stops what Azure ML's would stop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.jobs.spec import EarlyTermination
from model_training.sweep.bandit import applies_at, first_stop, stop_reason

FACTOR = EarlyTermination(evaluation_interval=1, slack_factor=0.2)
AMOUNT = EarlyTermination(evaluation_interval=1, slack_amount=0.1)
TEMPLATE = EarlyTermination(evaluation_interval=2, delay_evaluation=6, slack_factor=0.2)


def test_the_example_of_azures_documentation() -> None:
    """Best .8 and a slack factor of .2: below .8 / 1.2 = .667 is stopped."""
    curves = {0: [0.8], 1: [0.66], 2: [0.67]}
    assert (
        stop_reason(FACTOR, curves, 1, 1)
        == "bandit: 0.66 after report 1 is below 0.667 = 0.8 / (1 + 0.2), the best of trial 1"
    )
    assert stop_reason(FACTOR, curves, 2, 1) is None


def test_an_amount_is_subtracted() -> None:
    curves = {0: [0.8], 1: [0.69], 2: [0.71]}
    assert stop_reason(AMOUNT, curves, 1, 1) is not None
    assert stop_reason(AMOUNT, curves, 2, 1) is None


@pytest.mark.parametrize(
    ("policy", "points"),
    [
        (TEMPLATE, [6, 8, 10, 12]),
        (EarlyTermination(evaluation_interval=5, delay_evaluation=6, slack_factor=0.1), [10]),
        (EarlyTermination(evaluation_interval=4, delay_evaluation=0, slack_factor=0.1), [4, 8, 12]),
    ],
)
def test_it_is_applied_at_multiples_of_the_interval_after_the_delay(
    policy: EarlyTermination, points: list[int]
) -> None:
    assert [interval for interval in range(13) if applies_at(policy, interval)] == points


def test_trials_are_compared_over_the_same_number_of_reports() -> None:
    """A trial that is further on has had more time: what it reached later does not count against a younger one."""
    curves = {0: [0.2, 0.3, 0.9], 1: [0.2]}
    assert stop_reason(FACTOR, curves, 1, 1) is None
    assert stop_reason(FACTOR, {**curves, 1: [0.2, 0.2, 0.2]}, 1, 3) is not None


def test_a_trials_best_report_counts_not_its_last() -> None:
    assert stop_reason(FACTOR, {0: [0.5, 0.5], 1: [0.5, 0.1]}, 1, 2) is None


def test_several_reports_at_once_are_looked_at_one_by_one() -> None:
    curves = {0: [0.9] * 8, 1: [0.1] * 5 + [0.1, 0.95, 0.95]}
    assert "after report 6" in (first_stop(TEMPLATE, curves, 1, 0) or "")
    assert first_stop(TEMPLATE, curves, 1, 6) is None


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=8), min_size=1, max_size=6), st.floats(0, 2))
def test_the_best_trial_is_never_stopped(curves: list[list[float]], slack: float) -> None:
    """Whatever the slack, who leads at an interval goes on there; and alone one always goes on."""
    policy = EarlyTermination(evaluation_interval=1, slack_factor=slack)
    numbered = dict(enumerate(curves))
    for interval in range(1, 9):
        reached = {number: max(curve[:interval]) for number, curve in numbered.items()}
        leader = max(reached, key=lambda number: reached[number])
        assert stop_reason(policy, numbered, leader, interval) is None
