"""Fields without end where no head is expected: behind a request that is being answered, and behind a body."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from scoring.server import service
from scoring.server.protocol import MAX_WAITING
from tests.scoring.server.running import Running

Serve = Callable[..., Running]
Png = Callable[..., bytes]
ENDLESS = b"a" * (8 << 20)  # more than a connection's buffers hold


def flooded(line: socket.socket, start: bytes) -> bytes:
    """What comes back until the server closes, while a field is sent that does not end."""
    line.sendall(start)
    found = b""
    try:
        line.sendall(ENDLESS)
        while data := line.recv(65536):
            found += data
    except (ConnectionError, TimeoutError) as error:
        assert not isinstance(error, TimeoutError), "the server read on"
    return found


def connected(server: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def request(*lines: str) -> bytes:
    return "\r\n".join(("POST /score HTTP/1.1", "host: x", "content-type: image/png", *lines, "", "")).encode()


def test_behind_a_request_that_is_being_answered(serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, score = threading.Event(), service.score_image

    def wait(*args: object, **options: object) -> object:
        go_on.wait(20)
        return score(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "score_image", wait)
    server = serve()
    try:
        with connected(server) as line:
            whole = request(f"content-length: {len(png())}") + png()
            assert flooded(line, whole + b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ") == b""
    finally:
        go_on.set()
    assert server.post("/score", png()).status == 200


@pytest.mark.parametrize("keys", [(), (b"correct horse battery",)])
def test_behind_a_body(serve: Serve, keys: tuple[bytes, ...]) -> None:
    """In the fields that may follow a chunked body; the second time nobody has shown a key."""
    server = serve(keys=keys, deadline_seconds=20)
    with connected(server) as line:
        assert b"200 OK" not in flooded(line, request("transfer-encoding: chunked") + b"1\r\na\r\n0\r\nx-a: ")
    assert server.get("/health/live").status == 200


def test_inside_a_body(serve: Serve) -> None:
    """In what may stand beside the size of a piece."""
    with connected(serve()) as line:
        assert flooded(line, request("transfer-encoding: chunked") + b"1;x=") == b""


def test_a_body_in_many_small_pieces_is_no_flood(server: Running, png: Png) -> None:
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in png() + bytes(30_000))  # 180 kB, most of them no body
    with connected(server) as line:
        line.sendall(request("transfer-encoding: chunked", "connection: close") + pieces + b"0\r\n\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_few_requests_may_come_at_once(server: Running) -> None:
    with connected(server) as line:
        line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * MAX_WAITING + LAST)
        assert rest(line).count(b"200 OK") == MAX_WAITING + 1


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_thousands_of_requests_at_once_are_not_all_read(server: Running, start: bytes) -> None:
    """60 kB of them kept the server from everything else for a fifth of a second."""
    with connected(server) as line:
        line.sendall(start + b"GET / HTTP/1.1\r\n\r\n" * 3000 + LAST)
        assert rest(line).count(b"HTTP/1.1 ") <= MAX_WAITING + 1
    assert server.get("/health/live").status == 200


LAST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def rest(line: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionError):
        while data := line.recv(65536):
            found += data
    return found
