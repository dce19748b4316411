"""What a search service, or something else under its address, may answer: an error in words, or asked again."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from scoring.errors import CvaError, OfflineError, UnavailableError
from scoring.search.client import Credential, SearchClient

Answering = Callable[[bytes], str]
CUT_OFF = b"transfer-encoding: chunked\r\n\r\n5\r\nabc"


@pytest.fixture
def answering() -> Iterator[Answering]:
    """`answering(data)` is the address of a service that says this and hangs up."""
    with contextlib.ExitStack() as ends:

        def start(data: bytes) -> str:
            listener = ends.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        with listener.accept()[0] as line:
                            line.recv(65536)
                            line.sendall(data)

            threading.Thread(target=serve, daemon=True).start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start


def client(url: str, waits: list[float] | None = None) -> SearchClient:
    sleep = (waits if waits is not None else []).append
    return SearchClient(url, Credential("api-key", "a-key"), timeout=20, sleep=sleep)


def test_an_error_whose_body_is_cut_off_is_its_status(answering: Answering) -> None:
    with pytest.raises(CvaError, match="500 Sorry"):
        client(answering(b"HTTP/1.1 500 Sorry\r\n" + CUT_OFF)).status("caps")


def test_a_busy_service_is_asked_again_though_its_body_is_cut_off(answering: Answering) -> None:
    waits: list[float] = []
    with pytest.raises(UnavailableError, match="429"):
        client(answering(b"HTTP/1.1 429 Busy\r\nretry-after: 7\r\n" + CUT_OFF), waits).status("caps")
    assert waits == [7, 7, 8, 16]


DEEP = b"[" * 100_000


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_of_deep_nesting_is_no_answer(status: int, answering: Answering) -> None:
    data = b"HTTP/1.1 %d Well\r\ncontent-length: %d\r\n\r\n" % (status, len(DEEP)) + DEEP
    with pytest.raises(CvaError, match="expected JSON" if status == 200 else "400 Well"):
        client(answering(data)).status("caps")


def test_a_wait_of_thousands_of_digits_is_none(answering: Answering) -> None:
    waits: list[float] = []
    with pytest.raises(UnavailableError):
        client(
            answering(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nretry-after: " + b"9" * 5000 + b"\r\n\r\n"), waits
        ).status("caps")
    assert waits == [2, 4, 8, 16]


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n" + CUT_OFF, b"\0\1\2\r\n\r\n", b""])
def test_half_an_answer_is_none(answering: Answering, data: bytes) -> None:
    with pytest.raises(OfflineError) as caught:
        client(answering(data)).status("caps")
    assert isinstance(caught.value.__cause__, OSError | http.client.HTTPException)
