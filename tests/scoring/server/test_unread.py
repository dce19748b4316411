"""Callers who ask and never read the answer: their connection ends, and what it held is free again."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scoring.server.process import until
from tests.scoring.server.running import Running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a listener's buffer size is not its connections'")
Serve = Callable[..., Running]
SMALL = 4096  # bytes of the system's buffers
ESTABLISHED = "01"  # in /proc/net/tcp
GET = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n"
POST = b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\nnot json!"


@pytest.fixture
def server(serve: Serve) -> Running:
    return serve(read_seconds=1.0, send_buffer=SMALL)


@pytest.fixture
def line(server: Running) -> Iterator[socket.socket]:
    with connected(server) as made:
        yield made


def connected(server: Running) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    made.settimeout(20)
    made.connect(("127.0.0.1", server.port))
    return made


def read(line: socket.socket) -> bytes:
    """Until the end, of either kind."""
    found = b""
    try:
        while data := line.recv(1024):
            found += data
    except ConnectionResetError:
        pass
    return found


def is_held(line: socket.socket) -> bool:
    """Whether the server's end of it is open, as the system has it."""
    own, theirs = (f":{end[1]:04X}" for end in (line.getsockname(), line.getpeername()))
    rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines())
    return any(row[1].endswith(theirs) and row[2].endswith(own) and row[3] == ESTABLISHED for row in rows)


def test_a_request_whose_answer_cannot_be_sent_is_given_up(
    server: Running, line: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits, with its body in memory, for the one before to be taken; and it is no fault of ours that it is not."""
    bodies = server.context.bodies
    line.sendall((GET + b"\r\n" + POST) * 4)
    until(lambda: bodies.held == len(b"not json!"))
    until(lambda: bodies.held == 0)
    assert read(line).count(b"HTTP/1.1 ") < 8
    assert server.get("/health/live").status == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_connection_that_is_closed_does_not_wait_for_ever_to_be_read(server: Running, line: socket.socket) -> None:
    line.sendall(GET + b"connection: close\r\n\r\n")
    assert is_held(line)
    until(lambda: not is_held(line))
    assert not read(line).endswith(b"}")


def test_a_slow_reader_gets_the_whole_answer(serve: Serve) -> None:
    server = serve(send_buffer=SMALL)
    with connected(server) as line:
        line.sendall((GET + b"\r\n") * 3 + GET + b"connection: close\r\n\r\n")
        found = read(line)
    assert found.count(b'"openapi":"3.1.0"') == 4
    assert found.endswith(b"}")
