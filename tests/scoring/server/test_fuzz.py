"""Bodies and images that hypothesis made, sent to a real server: an answer of the interface, never a 5xx.

`benchmarks/serving/fuzz.py` sends ten thousand of them; these are fewer, new ones at every run but CI's.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scoring.server.caller import Caller, send
from tests.scoring.server.process import Process

EXAMPLES = 1500
GROWTH = 96 << 20  # bytes; a picture of 4 megapixels needs 48 MiB while it is decoded, two may at a time


@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")
def test_whatever_is_sent_it_is_answered_without_a_fault_and_in_bounded_memory(
    tiny_bundle: Callable[..., Path],
) -> None:
    limits = ("--max-pixels", "4", "--max-body", "1", "--workers", "2")
    with Process("--bundle", tiny_bundle(), *limits) as server, contextlib.closing(Caller(server)) as caller:
        assert all(caller.good() for _ in range(50))
        before = server.memory()
        send(caller, EXAMPLES)
        assert caller.good()
        assert server.memory() - before < GROWTH
        assert {400, 404, 405, 415} <= set(caller.statuses)
        assert caller.statuses[200] > EXAMPLES // 50, "the requests are too strange to reach a detector"
    assert "Traceback" not in server.text, server.text[-2000:]
