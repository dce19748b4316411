"""The images of a data set that is scored are fetched ahead: several at once, in order, and not all of them."""

from __future__ import annotations

import threading
from itertools import islice

import pytest

from model_training.batch_scoring import AHEAD, FETCHES, fetched_ahead
from model_training.data.rows import Row
from scoring.batch.inputs import Item
from scoring.errors import OfflineError

ROWS = [Row(f"{number}.jpg") for number in range(3 * AHEAD)]


def item(row: Row) -> Item:
    return Item(row.image_url, f"/images/{row.image_url}")


def test_images_are_fetched_at_once_and_come_in_order() -> None:
    together = threading.Barrier(FETCHES, timeout=60)

    def fetch(row: Row) -> Item:
        together.wait()  # nobody goes on before that many wait
        return item(row)

    assert len(ROWS) % FETCHES == 0
    assert list(fetched_ahead(ROWS, fetch)) == [item(row) for row in ROWS]


def test_what_nobody_asks_for_is_not_fetched() -> None:
    """A data set of a million images is not on the disk before the first is scored."""
    fetched: list[str] = []

    def fetch(row: Row) -> Item:
        fetched.append(row.image_url)
        return item(row)

    items = fetched_ahead(ROWS, fetch)
    assert list(islice(items, 3)) == [item(row) for row in ROWS[:3]]
    items.close()  # type: ignore[attr-defined]
    assert len(fetched) <= AHEAD + 2


def test_a_fetch_that_fails_is_said_at_its_place() -> None:
    def fetch(row: Row) -> Item:
        if row.image_url == "40.jpg":
            raise OfflineError("the network is gone")
        return item(row)

    items = fetched_ahead(ROWS, fetch)
    assert [next(items) for _ in range(40)] == [item(row) for row in ROWS[:40]]
    with pytest.raises(OfflineError, match="gone"):
        next(items)
