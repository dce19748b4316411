"""The server ends when it is told to, keeps its date, and sleeps otherwise."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from scoring.server import quiet
from tests.scoring.server.process import until

LIVE = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def run() -> Iterator[Callable[..., tuple[quiet.Server, threading.Thread, int]]]:
    made: list[tuple[quiet.Server, threading.Thread]] = []

    def start(told: tuple[int, ...] = ()) -> tuple[quiet.Server, threading.Thread, int]:
        listener = socket.create_server(("127.0.0.1", 0))
        server = quiet.Server(uvicorn.Config(app, lifespan="off", log_config=None), told)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        made.append((server, thread))
        thread.start()
        return server, thread, listener.getsockname()[1]

    yield start
    for server, thread in made:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


def date_of(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(LIVE)
        head = line.recv(9999)
    return head.lower().partition(b"date: ")[2].split(b"\r\n")[0]


def test_it_sleeps_until_it_is_to_end(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "DATE_SECONDS", 1000.0)
    looked: list[quiet.Server] = []  # others may run beside it
    on_tick = quiet.Server.on_tick

    def noting(self: quiet.Server, counter: int) -> Any:
        looked.append(self)
        return on_tick(self, counter)

    monkeypatch.setattr(quiet.Server, "on_tick", noting)
    server, thread, _ = run()
    until(lambda: server.started)
    time.sleep(0.5)
    assert looked.count(server) == 1
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive() and looked.count(server) == 2


def test_the_date_goes_on(run: Callable[..., Any]) -> None:
    server, _, port = run()
    until(lambda: server.started)
    first = date_of(port)
    assert first.endswith(b" gmt")
    until(lambda: date_of(port) != first)


def test_a_signal_that_came_before_ends_it(run: Callable[..., Any]) -> None:
    _, thread, _ = run((15,))
    thread.join(timeout=20)
    assert not thread.is_alive()
