"""An answer is one write, whatever its kind; what is no answer goes at once."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from scoring.server.gathered import CONTINUE, Gathered

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Written(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.all: list[bytes] = []

    def write(self, data: object) -> None:
        self.all.append(cast(bytes, data))

    def close(self) -> None:
        self.all.append(b"closed")


@pytest.fixture
def written() -> Written:
    return Written()


def test_a_head_goes_with_the_first_of_its_body(written: Written) -> None:
    gathered = Gathered(written)
    for number in (b"1", b"2"):
        gathered.write(HEAD)
        assert written.all == []
        gathered.write(number)
        gathered.write(b"more")
        gathered.end()
        assert written.all == [HEAD + number, b"more"]
        written.all.clear()


def test_a_head_without_a_body_goes_at_the_end(written: Written) -> None:
    gathered = Gathered(written)
    gathered.write(HEAD)
    gathered.end()
    gathered.end()
    assert written.all == [HEAD]


def test_what_is_held_goes_before_the_connection_is_closed(written: Written) -> None:
    gathered = Gathered(written)
    gathered.write(HEAD)
    gathered.close()
    assert written.all == [HEAD, b"closed"]


def test_continue_goes_at_once_and_is_no_head(written: Written) -> None:
    gathered = Gathered(written)
    gathered.write(CONTINUE)
    assert written.all == [CONTINUE]
    gathered.write(HEAD)
    gathered.write(b"body")
    assert written.all == [CONTINUE, HEAD + b"body"]
