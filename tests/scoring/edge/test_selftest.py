"""When two answers count as the same: within the tolerance, except where only a score at the threshold decides."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.edge.selftest import compare, self_test
from scoring.errors import SelfTestError

TOLERANCE = {"box": 0.01, "score": 0.02}


def box(score: float = 0.8, left: float = 0.1, label: str = "cap") -> dict[str, Any]:
    return {"box": {"topX": left, "topY": 0.1, "bottomX": 0.5, "bottomY": 0.5}, "label": label, "score": score}


@pytest.mark.parametrize(
    ("expected", "found", "differs"),
    [
        ([], [], False),
        ([box()], [box()], False),
        ([box()], [box(score=0.815, left=0.105)], False),
        ([box()], [box(score=0.83)], True),
        ([box()], [box(left=0.12)], True),
        ([box()], [box(label="no cap")], True),
        ([box()], [], True),
        ([], [box()], True),
        ([box(), box()], [box()], True),  # one partner each
        ([box(), box(left=0.3)], [box(left=0.3), box()], False),  # the order of near-equal scores may change
        ([box(score=0.31)], [], False),  # at the threshold of .3: may be above on one machine, below on another
        ([], [box(score=0.31)], False),
        ([box(score=0.33)], [], True),
    ],
)
def test_compare(expected: list[dict[str, Any]], found: list[dict[str, Any]], differs: bool) -> None:
    assert bool(compare(expected, found, TOLERANCE, 0.3)) is differs


def test_the_threshold_of_the_label_counts() -> None:
    assert not compare([box(score=0.51)], [], TOLERANCE, {"cap": 0.5, "no cap": 0.1})
    assert compare([box(score=0.51, label="no cap")], [], TOLERANCE, {"cap": 0.5, "no cap": 0.1})


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits")
def test_it_takes_no_more_memory_than_it_may(tiny_bundle: Callable[..., Path]) -> None:
    bundle = tiny_bundle()
    self_test(bundle, memory=2 << 30)
    with pytest.raises(SelfTestError):
        self_test(bundle, memory=8 << 20)
