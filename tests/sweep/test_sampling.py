"""A trial's hyperparameters depend on the seed and its number, and lie in the space."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.jobs.spec import Distribution
from model_training.sweep.sampling import sample

SPACE = {
    "model_name": Distribution("fixed", ("yolov5",)),
    "learning_rate": Distribution("uniform", low=1e-4, high=1e-2),
    "weight_decay": Distribution("loguniform", low=math.log(1e-6), high=math.log(1e-1)),
    "model_size": Distribution("choice", ("small", "medium")),
    "early_stopping": Distribution("choice", (True, False)),
}
OTHER = {"model_name": Distribution("fixed", ("yolov5",)), "model_size": Distribution("choice", ("large",))}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.integers(0, 500))
def test_values_lie_in_the_space_and_come_again(seed: int, number: int) -> None:
    """In range; the same seed and number give the same values."""
    values = sample([SPACE], seed, number).values
    assert values == sample([SPACE], seed, number).values
    assert set(values) == set(SPACE) and values["model_name"] == "yolov5"
    assert 1e-4 <= values["learning_rate"] <= 1e-2 and 1e-6 <= values["weight_decay"] <= 1e-1
    assert values["model_size"] in ("small", "medium") and values["early_stopping"] in (True, False)


def test_a_trial_does_not_depend_on_those_before_it() -> None:
    backwards = {number: sample([SPACE], 1, number).values for number in reversed(range(5))}
    assert [sample([SPACE], 1, number).values for number in range(5)] == [backwards[n] for n in range(5)]


def test_numbers_and_seeds_give_different_draws() -> None:
    rates = {sample([SPACE], seed, number).values["learning_rate"] for seed in (1, 2) for number in range(20)}
    assert len(rates) == 40
    assert {sample([SPACE], 1, number).values["model_size"] for number in range(20)} == {"small", "medium"}


def test_loguniform_is_even_in_the_logarithm() -> None:
    drawn = [math.log10(sample([SPACE], 3, number).values["weight_decay"]) for number in range(60)]
    below = sum(value < -3.5 for value in drawn)  # the middle of -6 to -1
    assert 18 <= below <= 42


def test_a_conditional_space_is_drawn_first_and_alone() -> None:
    drawn = [sample([SPACE, OTHER], 1, number) for number in range(20)]
    sizes = {tuple(sorted(each.values)) for each in drawn}
    assert sizes == {tuple(sorted(SPACE)), tuple(sorted(OTHER))}
    assert {each.params["search_space"] for each in drawn} == {0, 1}


def test_no_space_gives_nothing() -> None:
    assert sample([], 1, 0).values == {}


def test_what_cannot_be_sampled_is_an_error() -> None:
    with pytest.raises(ValueError, match="normal"):
        sample([{"learning_rate": Distribution("normal")}], 1, 0)
