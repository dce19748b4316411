"""The line before the workers: order, one worker for one item, nothing lost between many threads."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from scoring.server.line import Line
from tests.scoring.server.process import until


def until_idle(line: Line[int | None], count: int) -> None:
    until(lambda: len(line._idle) == count)


def workers(line: Line[int | None], count: int, took: list[tuple[str, int]]) -> list[threading.Thread]:
    def work() -> None:
        while (item := line.get()) is not None:
            took.append((threading.current_thread().name, item))

    threads = [threading.Thread(target=work, name=str(number), daemon=True) for number in range(count)]
    for number, thread in enumerate(threads):
        thread.start()
        until_idle(line, number + 1)
    return threads


def end(line: Line[int | None], threads: list[threading.Thread]) -> None:
    for _ in threads:
        line.put(None)
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_first_in_first_out() -> None:
    line: Line[int] = Line()
    for number in range(5):
        line.put(number)
    assert len(line) == 5
    assert [line.get() for _ in range(5)] == list(range(5))
    assert len(line) == 0


def test_the_worker_that_fell_idle_last_is_woken_and_no_other() -> None:
    line: Line[int | None] = Line()
    took: list[tuple[str, int]] = []
    threads = workers(line, 3, took)
    for item in range(20):
        line.put(item)
        until_idle(line, 3)  # `put` has taken the one it wakes from the list
    assert took == [("2", item) for item in range(20)]
    end(line, threads)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_item_is_taken_once(count: int) -> None:
    line: Line[int | None] = Line()
    took: list[tuple[str, int]] = []
    threads = workers(line, count, took)

    def put(start: int) -> None:
        for item in range(start, start + 2000):
            line.put(item)

    givers = [threading.Thread(target=put, args=(start,)) for start in (0, 2000, 4000)]
    for giver in givers:
        giver.start()
    for giver in givers:
        giver.join()
    until(lambda: len(took) == 6000)
    end(line, threads)
    assert Counter(item for _, item in took) == Counter(range(6000))
    assert len(line) == 0
