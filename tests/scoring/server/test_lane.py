"""The short way of /score answers as the usual one does, however a request comes and whatever becomes of it."""

from __future__ import annotations

import base64
import errno
import functools
import gc
import json
import logging
import os
import random
import socket
import threading
import time
import weakref
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from scoring.server import protocol, service
from scoring.server.access_log import Outermost
from scoring.server.bodies import LARGE
from scoring.server.lane import Lane, Passing
from scoring.server.protocol import Connection
from scoring.server.service import Service
from tests.scoring.server.conftest import started
from tests.scoring.server.process import until
from tests.scoring.server.running import Running, connected, served, text_of

Serve = Callable[..., Running]
Png = Callable[..., bytes]
KEY = "a-key-of-this-test-0"
TEXT = base64.b64encode(b"no picture").decode()
LIVE = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"


def request(body: bytes, *lines: str, kind: str = "image/png") -> bytes:
    start = ("POST /score HTTP/1.1", "host: x", f"content-type: {kind}", f"content-length: {len(body)}", *lines)
    return "\r\n".join((*start, "", "")).encode() + body


def answers(line: socket.socket, count: int) -> list[tuple[bytes, bytes]]:
    """So many heads and bodies, as they came."""
    found, data = [], b""
    while len(found) < count:
        while b"\r\n\r\n" not in data:
            data += received(line)
        head, _, data = data.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(data) < size:
            data += received(line)
        found.append((head, data[:size]))
        data = data[size:]
    assert not data
    return found


def received(line: socket.socket) -> bytes:
    data = line.recv(65536)
    assert data, "the server closed the connection"
    return data


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each head that was asked about, whether it went the short way."""
    taken: list[bool] = []
    open_ = Lane.open

    def opened(self: Lane, *given: Any) -> Passing | None:
        passing = open_(self, *given)
        taken.append(passing is not None)
        return passing

    monkeypatch.setattr(Lane, "open", opened)
    return taken


GOOD = "a picture"
ASKED: list[tuple[str, Any, dict[str, str], bool]] = [  # body, headers, and whether the short way takes it
    ("bytes", GOOD, {}, True),
    ("bytes as octets", GOOD, {"content_type": "Application/Octet-Stream; a=b"}, True),
    ("an id", GOOD, {"x_request_id": "mine", "x_ms_client_request_id": "theirs"}, True),
    ("JSON", {"data": [GOOD, GOOD]}, {}, True),
    ("no images", {"data": []}, {}, True),
    ("no picture", b"no picture", {}, True),
    ("no picture in JSON", {"data": [TEXT, GOOD]}, {}, True),
    ("no JSON", b"{", {"content_type": "application/json"}, True),
    ("no base64", {"data": ["?"]}, {}, True),
    ("another shape", {"images": []}, {}, True),
    ("too many images", {"data": [TEXT] * 1001}, {}, True),
    ("too many values", b"[" + b"0," * 110_000 + b"0]", {"content_type": "application/json"}, True),
    ("an empty body", b"", {}, True),
    ("no type", GOOD, {"content_type": ""}, False),
    ("another type", GOOD, {"content_type": "text/plain"}, False),
    ("compressed", GOOD, {"content_encoding": "gzip"}, False),
    ("the last one", GOOD, {"connection": "close"}, False),
    ("a large body", b"x" * (LARGE + 1), {}, False),
]


@pytest.mark.parametrize(("body", "headers", "short"), [each[1:] for each in ASKED], ids=[each[0] for each in ASKED])
def test_the_answers_are_the_same(
    serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch, takes: list[bool], body: Any, headers: Any, short: bool
) -> None:
    if isinstance(body, dict):
        body = {name: [text_of(png()) if each == GOOD else each for each in items] for name, items in body.items()}
    value = png() if body == GOOD else body
    one, two = serve(), serve()
    found = [one.post("/score", value, **headers)]
    assert any(takes) == short
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "open", lambda *_: None)
        found.append(two.post("/score", value, **headers))
    for each in found:
        for name in ("date", "server-timing", *(() if "x_request_id" in headers else ("x-request-id",))):
            each.headers.pop(name, None)
    if b"request_id" in found[0].body:
        errors = [{**each.json, "request_id": ""} for each in found]
        assert errors[0] == errors[1]
        assert (found[0].status, set(found[0].headers)) == (found[1].status, set(found[1].headers))
    else:
        assert found[0] == found[1]
    assert counted(one) == counted(two)


def counted(server: Running) -> list[bytes]:
    names = (b"cva_requests_total{", b"cva_images_total", b"cva_score_seconds_count", b"cva_request_seconds_count")
    lines = server.get("/metrics").body.splitlines()
    return [line for line in lines if line.startswith(names) and b"/metrics" not in line]


def test_it_passes_by_the_layers_of_the_usual_way(serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above compares are two ways indeed."""

    async def refuses(*_: object) -> None:
        raise AssertionError("asked the application")

    server = serve()
    monkeypatch.setattr(Outermost, "__call__", refuses)
    assert server.post("/score", png()).status == 200
    with pytest.raises(AssertionError), connected(server) as line:
        line.sendall(LIVE)
        [(head, _)] = answers(line, 1)
        assert b" 200 " in head.split(b"\r\n")[0]


@pytest.mark.parametrize("query", ["?threshold=0.9", "?threshold=x", "?"])
def test_a_threshold_goes_the_usual_way(serve: Serve, png: Png, takes: list[bool], query: str) -> None:
    assert serve().post(f"/score{query}", png()).status in (200, 400)
    assert takes == []


@hypothesis.settings(
    max_examples=60,
    deadline=None,
)
@hypothesis.given(cuts=st.lists(st.floats(0, 1), max_size=4), json_too=st.booleans())
def test_in_however_many_pieces_it_comes(server: Running, png: Png, cuts: list[float], json_too: bool) -> None:
    body = json.dumps({"data": [text_of(png())]}).encode() if json_too else png()
    data = request(body, kind="application/json" if json_too else "image/png")
    ends = [0, *sorted(round(each * len(data)) for each in cuts), len(data)]
    with connected(server) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in pairwise(ends):
            line.sendall(data[start:end])
            time.sleep(0.001)
        [(head, found)] = answers(line, 1)
        assert head.startswith(b"HTTP/1.1 200 ") and json.loads(found)[0]["boxes"]


def test_requests_in_one_piece_are_answered_in_their_order(server: Running, png: Png) -> None:
    data = request(png(), "x-request-id: a") + request(b"none", "x-request-id: b") + LIVE + request(png())
    with connected(server) as line:
        for _ in range(3):
            line.sendall(data)
            found = answers(line, 4)
            assert [head.split()[1] for head, _ in found] == [b"200", b"400", b"200", b"200"]
            assert b"x-request-id: a" in found[0][0] and b"x-request-id: b" in found[1][0]
            assert b'"live"' in found[2][1]


def test_a_key_is_asked_for(serve: Serve, png: Png, takes: list[bool]) -> None:
    server = serve(keys=(KEY.encode(),))
    assert [server.post("/score", png(), **headers).status for headers in ({}, {"x_api_key": "other"})] == [401, 401]
    assert server.post("/score", png(), x_api_key=KEY).status == 200
    assert server.post("/score", png(), authorization=f"Bearer {KEY}").status == 200
    assert takes == [False, False, True, True]


def test_origins_are_for_the_usual_way(serve: Serve, png: Png, takes: list[bool]) -> None:
    answer = serve(cors_origins=("https://a.example",)).post("/score", png(), origin="https://a.example")
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert takes == []


def test_no_model_and_a_full_queue(serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch, takes: list[bool]) -> None:
    assert serve(model=None).post("/score", png()).status == 503
    server = serve(queue=1)
    with monkeypatch.context() as patch:
        patch.setattr(Service, "requests", 1)
        assert server.post("/score", png()).status == 429
    assert server.post("/score", png()).status == 200
    assert takes == [True] * 3


def test_a_deadline_that_passes_is_504(serve: Serve, png: Png, takes: list[bool]) -> None:
    answer = serve(deadline_seconds=0).post("/score", png())
    assert (answer.status, answer.json["error"]["code"]) == (504, "deadline_passed")
    assert takes == [True]


def test_a_body_that_does_not_come_is_408(serve: Serve, png: Png, takes: list[bool]) -> None:
    server = serve(read_seconds=0.3)
    with connected(server) as line:
        line.sendall(request(png())[:-5])
        [(head, body)] = answers(line, 1)
        assert head.startswith(b"HTTP/1.1 408 ") and head.lower().count(b"connection: close") == 1
        assert json.loads(body)["error"]["code"] == "too_slow"
        assert line.recv(1) == b""
    assert takes == [True]
    assert server.context.bodies.held == server.context.service.requests == 0


def test_bodies_that_are_too_much_together_are_429(serve: Serve, png: Png) -> None:
    server = serve()
    bodies = server.context.bodies
    bodies.held = bodies.most - 10
    assert server.post("/score", png()).status == 429
    bodies.held = 0
    assert server.post("/score", png()).status == 200
    until(lambda: bodies.held == 0)


def test_what_comes_of_a_body_after_its_answer_is_not_kept(serve: Serve, png: Png) -> None:
    server = serve()
    bodies = server.context.bodies
    data = request(png(size=(300, 300)) + bytes(5000))
    with connected(server) as line:
        bodies.held = bodies.most - 10
        line.sendall(data[:1000])
        [(head, _)] = answers(line, 1)
        assert head.startswith(b"HTTP/1.1 429 ")
        bodies.held = 0
        line.sendall(data[1000:] + request(png()))
        [(head, _)] = answers(line, 1)  # of the next request, on the same connection
        assert head.startswith(b"HTTP/1.1 200 ")
        until(lambda: bodies.held == 0)


@pytest.mark.parametrize("sent", [0.5, 1])
def test_a_caller_who_leaves_is_counted_and_leaves_nothing(
    serve: Serve, png: Png, caplog: pytest.LogCaptureFixture, takes: list[bool], sent: float
) -> None:
    caplog.set_level(logging.INFO)
    server = serve(workers=1, access_log=True)
    body = json.dumps({"data": [text_of(png(size=(3000, 3000)))] * 20}).encode()
    data = request(body, kind="application/json")
    with connected(server) as line:
        line.sendall(data[: int(sent * len(data))])
        until(lambda: server.context.bodies.held > 0)
    until(lambda: "POST /score 499" in caplog.text)
    assert takes == [True]
    assert server.context.bodies.held == server.context.service.requests == server.context.service.held == 0
    assert server.post("/score", png()).status == 200


def test_a_fault_of_the_model_is_500_and_logged(
    serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, takes: list[bool]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of this test")

    monkeypatch.setattr("scoring.server.service.score_image", fails)
    answer = serve().post("/score", png(), x_request_id="r-1")
    assert answer.status == 500 and answer.json["request_id"] == "r-1" and "of this test" not in answer.body.decode()
    assert "request r-1 failed: ZeroDivisionError: of this test" in caplog.text
    assert takes == [True]


def test_a_connection_that_stays_keeps_no_old_model(
    serve: Serve, png: Png, tiny_bundle: Callable[..., Path], takes: list[bool]
) -> None:
    server = serve(model=None)
    server.context.service.use(served(tiny_bundle("old"), version="1"))
    old = weakref.ref(server.context.service.model)
    with connected(server) as line:
        line.sendall(request(png()))
        answers(line, 1)
        server.context.service.use(served(tiny_bundle("new"), version="2"))
        until(lambda: old() is None)
        line.sendall(request(png()))
        [(head, _)] = answers(line, 1)
        assert b"x-model-version: 2" in head
    assert takes == [True, True]


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop hears of what a worker answered when it wakes for something else, and else not in this test."""
    monkeypatch.setattr(service, "SETTLE_SECONDS", 1000.0)


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which thread sent each answer of this way."""
    names: list[str] = []
    for name in ("answer", "send"):
        real = getattr(Connection, name)

        def noting(self: Connection, *given: Any, real: Any = real) -> Any:
            names.append(threading.current_thread().name.partition("-")[0])
            return real(self, *given)

        monkeypatch.setattr(Connection, name, noting)
    return names


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """So many seconds an image, from now on."""
    seconds, score_image = [0.0], service.score_image

    def slowly(*given: Any, **options: Any) -> Any:
        time.sleep(seconds[0])
        return score_image(*given, **options)

    monkeypatch.setattr(service, "score_image", slowly)
    return functools.partial(seconds.__setitem__, 0)


@pytest.mark.usefixtures("never")
def test_the_worker_answers_a_request_of_one_image(serve: Serve, png: Png, senders: list[str]) -> None:
    server = serve()
    with connected(server) as line:
        for number in range(3):
            line.sendall(request(png(), f"x-request-id: {number}"))
            [(head, _)] = answers(line, 1)
            assert head.startswith(b"HTTP/1.1 200 ") and b"x-request-id: %d" % number in head
        line.sendall(request(json.dumps({"data": [text_of(png())]}).encode(), kind="application/json"))
        answers(line, 1)
        assert senders == ["score"] * 4
        line.sendall(request(json.dumps({"data": [text_of(png())] * 2}).encode(), kind="application/json"))
        answers(line, 1)
        line.sendall(request(b"no picture"))
        answers(line, 1)
        assert senders[4:] == [senders[4]] * 2 != ["score"] * 2
    assert counted(server)[0].endswith(b" 5.0")


def test_what_a_worker_answered_is_over_soon(
    serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, senders: list[str]
) -> None:
    """Also where nothing else comes."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(service, "SETTLE_SECONDS", 0.1)
    server = serve(access_log=True)
    with connected(server) as line:
        line.sendall(request(png()))
        answers(line, 1)
        until(lambda: "POST /score 200" in caplog.text)
        of = server.context
        assert (of.service.requests, of.service.held, of.bodies.held) == (0, 0, 0)
    assert senders == ["score"]


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize("taken", [0, 10, 200])
def test_what_the_system_does_not_take_is_sent_later(
    serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch, senders: list[str], taken: int
) -> None:
    def less(number: int, data: bytes) -> int:
        if not taken:
            raise BlockingIOError
        return os_write(number, data[:taken])

    os_write = os.write
    server = serve()
    with connected(server) as line:
        for _ in range(3):
            with monkeypatch.context() as patch:
                patch.setattr(protocol.os, "write", less)
                line.sendall(request(png()))
                [(head, body)] = answers(line, 1)
            assert head.startswith(b"HTTP/1.1 200 ") and json.loads(body)[0]["boxes"]
    assert senders == ["score"] * 3


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("seconds", [0, 0.2])
def test_what_waits_behind_it_is_answered_at_once(
    serve: Serve, png: Png, slow: Callable[[float], None], pieces: int, seconds: float
) -> None:
    server, sent = serve(), (request(png(), "x-request-id: a"), request(png(), "x-request-id: b") + LIVE)
    slow(seconds)
    with connected(server) as line:
        for piece in [b"".join(sent)] if pieces == 1 else sent:
            line.sendall(piece)
            time.sleep(0.05)
        found = answers(line, 3)
        assert b"x-request-id: a" in found[0][0] and b"x-request-id: b" in found[1][0] and b"live" in found[2][1]


@pytest.mark.usefixtures("never")
def test_a_worker_that_comes_after_the_deadline_does_not_answer_again(
    serve: Serve, png: Png, slow: Callable[[float], None], senders: list[str]
) -> None:
    server = serve(workers=1, deadline_seconds=0.2)
    slow(0.5)
    with connected(server) as line:
        line.sendall(request(png(), "x-request-id: a"))
        [(head, _)] = answers(line, 1)
        assert head.startswith(b"HTTP/1.1 504 ")
        time.sleep(0.5)
        slow(0)
        line.sendall(request(png(), "x-request-id: b"))
        [(head, _)] = answers(line, 1)
        assert head.startswith(b"HTTP/1.1 200 ") and b"x-request-id: b" in head
    assert len(senders) == 2 and senders[1] == "score"


@pytest.mark.usefixtures("never")
def test_a_worker_sends_nothing_to_who_has_left(
    serve: Serve, png: Png, caplog: pytest.LogCaptureFixture, slow: Callable[[float], None], senders: list[str]
) -> None:
    """The system may have given the connection's number to another by then."""
    caplog.set_level(logging.INFO)
    server = serve(workers=1, access_log=True)
    slow(0.3)
    with connected(server) as line:
        line.sendall(request(png()))
        until(lambda: server.context.service.requests == 1)
    until(lambda: "POST /score 499" in caplog.text)
    with connected(server) as line:
        time.sleep(0.4)
        assert senders == []
        slow(0)
        line.sendall(request(png()))
        assert len(answers(line, 1)) == 1


@pytest.mark.usefixtures("never")
def test_a_connection_that_cannot_be_written_to_is_closed(
    serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch, senders: list[str]
) -> None:
    def fails(number: int, data: bytes) -> int:
        raise OSError(errno.ENOBUFS, "of this test")

    server = serve()
    with connected(server) as line, monkeypatch.context() as patch:
        patch.setattr(protocol.os, "write", fails)
        line.sendall(request(png()))
        with pytest.raises((AssertionError, ConnectionResetError)):
            answers(line, 1)
    assert senders == ["score"]
    until(lambda: server.context.service.requests == server.context.bodies.held == 0)


def test_a_bad_image_is_not_kept(serve: Serve, png: Png, tiny_bundle: Callable[..., Path]) -> None:
    """An error knows where it was raised, with the image and the model that were there."""
    server = serve(model=None)
    model = served(tiny_bundle("old"), version="1")
    server.context.service.use(model)
    old = weakref.ref(model.detector)
    del model
    data = png(size=(300, 300))
    assert server.post("/score", data[: len(data) // 2]).status == 400
    assert server.post("/score", {"data": [text_of(data[: len(data) // 2])]}).status == 200
    server.context.service.use(served(tiny_bundle("new"), version="2"))

    def gone() -> bool:
        gc.collect()
        return old() is None

    until(gone)


def test_many_callers_who_pipeline_and_leave(serve: Serve, png: Png) -> None:
    server = serve(workers=2, queue=1000)
    wrong: list[str] = []

    def call(seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(12):
            with connected(server) as line:
                for _ in range(chance.randint(1, 3)):
                    names = [f"{seed}.{turn}.{number}" for number in range(chance.choice((1, 1, 1, 2, 4)))]
                    data = b"".join(request(png(), f"x-request-id: {name}") for name in names)
                    cut = chance.randrange(len(data))
                    line.sendall(data[:cut])
                    line.sendall(data[cut:])
                    if chance.random() < 0.2:
                        break
                    found = [
                        head.partition(b"x-request-id: ")[2].split()[0].decode()
                        for head, _ in answers(line, len(names))
                    ]
                    if found != names:
                        wrong.append(f"{names} -> {found}")

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    of = server.context
    until(lambda: (of.service.requests, of.service.held, of.bodies.held, of.service.waiting) == (0, 0, 0, 0))


@pytest.mark.usefixtures("never")
def test_the_end_of_the_server_waits_for_it(
    png: Png, tiny_bundle: Callable[..., Path], slow: Callable[[float], None], takes: list[bool]
) -> None:
    slow(0.5)
    with started(None, model=served(tiny_bundle("ends"))) as server:
        line = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        line.sendall(request(png()))
        until(lambda: server.context.service.requests == 1)
    with line:
        [(head, _)] = answers(line, 1)
        assert head.startswith(b"HTTP/1.1 200 ") and b"connection: close" in head
    assert takes == [True]


@pytest.mark.usefixtures("never")
def test_the_end_of_the_server_does_not_wait_for_what_a_worker_answered(
    png: Png, tiny_bundle: Callable[..., Path]
) -> None:
    with started(None, model=served(tiny_bundle("ends"))) as server:
        line = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        line.sendall(request(png()))
        answers(line, 1)  # `started` waits 20 s for the end, the server 65 for one that is being answered
    with line:
        assert line.recv(1) == b""


@pytest.mark.usefixtures("never")
def test_a_body_that_ends_after_the_server_began_to_is_the_last_of_its_connection(
    png: Png, tiny_bundle: Callable[..., Path], senders: list[str]
) -> None:
    data = request(png())
    with started(None, model=served(tiny_bundle("ends"))) as server:
        line = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        line.sendall(data[:-5])
        until(lambda: server.context.bodies.held > 0)
        later = threading.Timer(0.5, line.sendall, (data[-5:],))
        later.start()
    with line:
        [(head, _)] = answers(line, 1)
        assert head.startswith(b"HTTP/1.1 200 ") and b"connection: close" in head
        assert line.recv(1) == b""
    assert len(senders) == 1 and senders != ["score"]
