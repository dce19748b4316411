"""The operating threshold: the rule, its ties, and labels that validation says nothing about."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.evaluation.average_precision import average_precision, counts_at
from model_training.evaluation.matching import Ranking
from model_training.evaluation.thresholds import KEPT, TOLERANCES, UNKNOWN, choose_from


def ranking(scores: list[float], hits: list[int], truth: int) -> Ranking:
    return Ranking(np.array(scores, np.float64), np.array(hits, np.bool_), truth)


def one(scores: list[float], hits: list[int], truth: int) -> float:
    return choose_from([ranking(scores, hits, truth)], ["can"]).per_label["can"]


def test_it_lies_between_the_last_hit_and_the_first_false_alarm() -> None:
    assert 0.2 < one([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 2) < 0.8


def test_a_label_that_scores_low_keeps_its_boxes() -> None:
    chosen = choose_from(
        [ranking([0.9, 0.8, 0.1], [1, 1, 0], 2), ranking([0.06, 0.05, 0.01], [1, 1, 0], 2)], ["a", "b"]
    )
    assert chosen.per_label["a"] > 0.1
    assert 0.01 < chosen.per_label["b"] < 0.05


def test_on_a_plateau_the_lowest_threshold_wins() -> None:
    """F1 is 100/101 after 100 hits of 102 objects, and hardly less with one false alarm and one hit more."""
    scores = [0.99 - 0.001 * i for i in range(100)] + [0.5, 0.4]
    chosen = one(scores, [1] * 100 + [0, 1], 102)
    assert chosen < 0.4


def test_detections_of_one_score_stay_together() -> None:
    chosen = one([0.9, 0.5, 0.5, 0.5], [1, 1, 0, 0], 2)
    assert chosen <= 0.5 or chosen > 0.5 + 1e-6
    assert counts_at(ranking([0.9, 0.5, 0.5, 0.5], [1, 1, 0, 0], 2), chosen).predictions in (1, 4)


def test_a_label_without_objects_or_hits_takes_the_overall_one() -> None:
    chosen = choose_from(
        [ranking([0.9, 0.2], [1, 0], 1), ranking([0.8], [0], 0), ranking([0.7], [0], 3), ranking([], [], 2)],
        ["seen", "absent", "missed", "silent"],
    )
    assert chosen.per_label["absent"] == chosen.overall
    assert chosen.per_label["missed"] == chosen.overall
    assert chosen.per_label["silent"] == chosen.overall


def test_without_any_object_it_is_the_stated_default() -> None:
    chosen = choose_from([ranking([0.9], [0], 0)], ["can"])
    assert (chosen.overall, chosen.per_label) == (UNKNOWN, {"can": UNKNOWN})


@settings(deadline=None, max_examples=60)
@given(
    entries=st.lists(st.tuples(st.floats(0.001, 1.0), st.booleans()), min_size=1, max_size=40),
    missed=st.integers(0, 5),
)
def test_its_f1_is_within_the_tolerance_and_no_lower_threshold_is(
    entries: list[tuple[float, bool]], missed: int
) -> None:
    """Law: F1 at the chosen threshold >= (1 - tolerance) x the best; at any lower score it is less."""
    entries.sort(key=lambda entry: -entry[0])
    hits = [int(hit) for _, hit in entries]
    given_ranking = ranking([score for score, _ in entries], hits, sum(hits) + missed)
    if not sum(hits):
        return
    chosen = choose_from([given_ranking], ["can"])
    threshold = chosen.per_label["can"]
    assert 0 < threshold <= 1
    all_f1 = {score: counts_at(given_ranking, score).f1 or 0.0 for score, _ in entries}
    limit = (1 - chosen.tolerance) * max(all_f1.values())
    assert (counts_at(given_ranking, threshold).f1 or 0.0) >= limit - 1e-9
    assert all(f1 < limit for score, f1 in all_f1.items() if score < threshold)


def tail(false_alarms: int) -> Ranking:
    """60 hits high up, then 40 more, each among false alarms: best F1 is at the first 60, much precision lies below."""
    hits = [1] * 60 + ([1] + [0] * false_alarms) * 40
    return ranking([1 - 0.9 * position / len(hits) for position in range(len(hits))], hits, 100)


def test_more_f1_is_given_up_only_to_keep_average_precision() -> None:
    chosen = choose_from([tail(2)], ["can"])
    lost = (average_precision(tail(2)) or 0) - (average_precision(tail(2), threshold=chosen.per_label["can"]) or 0)
    assert lost <= KEPT
    assert chosen.tolerance == 0.05
    assert choose_from([ranking([0.9, 0.8, 0.1], [1, 1, 0], 2)], ["can"]).tolerance == TOLERANCES[0]


def test_what_may_be_given_up_has_an_end() -> None:
    """With four false alarms for each further hit the tail is worth little: best F1 is kept to the last tolerance."""
    chosen = choose_from([tail(4)], ["can"])
    assert chosen.tolerance == TOLERANCES[-1]
    best = 2 * 60 / (60 + 100)
    assert (counts_at(tail(4), chosen.per_label["can"]).f1 or 0) >= (1 - TOLERANCES[-1]) * best
