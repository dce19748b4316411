"""When two answers count as the same: within the tolerance, except where only a score at the threshold decides."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.edge.selftest import RESERVED, compare, memory_limit, self_test
from scoring.errors import UntestedError

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
    took = self_test(bundle, memory=2 << 30)
    assert took.images == 1
    assert took.memory_bytes is not None and 10 << 20 < took.memory_bytes < 2 << 30
    for little in (0, 8 << 20):  # none at all is not as much as you like
        with pytest.raises(UntestedError, match="more memory than the"):
            self_test(bundle, memory=little)


def test_what_is_available_now_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, limit in ((0, RESERVED), (5, RESERVED + 5), (None, None)):
        monkeypatch.setattr("scoring.edge.room.available_memory", lambda value=available: value)
        assert memory_limit(None) == limit
    assert memory_limit(0) == 0


def test_a_provider_that_does_not_start_is_no_fault_of_the_bundle(tiny_bundle: Callable[..., Path]) -> None:
    """And it is the provider that will serve, not always the processor."""
    with pytest.raises(UntestedError, match="no provider openvino"):
        self_test(tiny_bundle(), provider="openvino")
