"""Suppression against a few lines that do the same slowly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.graphs import suppress as module
from scoring.graphs.suppress import suppress

# few values, so that equal scores, equal boxes, boxes without extent and exact ratios are common
CORNER = st.integers(0, 12)
BOX = st.tuples(CORNER, CORNER, CORNER, CORNER).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
ROW = st.tuples(BOX, st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 2))


def naive(rows: list[tuple[tuple[int, ...], float, int]], iou: float, most: int) -> list[int]:
    kept: list[int] = []
    for at in sorted(range(len(rows)), key=lambda i: (-rows[i][1], i)):
        if all(rows[at][2] != rows[k][2] or ratio(rows[at][0], rows[k][0]) <= iou for k in kept):
            kept.append(at)
    return kept[:most]


def ratio(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / both if both else 0.0


def run(rows: list[tuple[tuple[int, ...], float, int]], iou: float, most: int) -> list[int]:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[1] for row in rows], np.float32)
    labels = np.array([row[2] for row in rows], np.int64)
    return suppress(boxes, scores, labels, iou=iou, most=most).tolist()


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(ROW, max_size=30), iou=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), most=st.integers(1, 40))
def test_it_is_what_the_slow_way_gives(rows: list[tuple[tuple[int, ...], float, int]], iou: float, most: int) -> None:
    assert run(rows, iou, most) == naive(rows, iou, most)


def test_nothing_gives_nothing() -> None:
    assert run([], 0.5, 10) == []


def test_a_ratio_that_is_the_limit_stays() -> None:
    rows = [((0, 0, 4, 4), 0.9, 0), ((0, 0, 4, 2), 0.8, 0)]
    assert run(rows, 0.5, 10) == [0, 1]
    assert run(rows, 0.49, 10) == [0]


def test_only_the_best_candidates_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANDIDATES", 3)
    rows = [((at, 0, at + 1, 1), score, 0) for at, score in enumerate([0.1, 0.5, 0.25, 1.0, 0.75])]
    assert run(rows, 0.5, 10) == [3, 4, 1]
