"""What every route shares, over real sockets: limits while streaming, slow and vanishing callers, ids, origins."""

from __future__ import annotations

import base64
import json
import logging
import operator
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from uvicorn.protocols.http import httptools_impl

from scoring.server import routes, service
from scoring.server.http import encode
from scoring.server.protocol import Connection
from scoring.server.service import Service
from scoring.server.settings import MIB
from tests.scoring.server.process import until
from tests.scoring.server.running import Running, connected, text_of

Serve = Callable[..., Running]
Png = Callable[..., bytes]
HERE, THERE = "https://pages.example.org", "https://elsewhere.example.org"


def head(*lines: str, path: str = "/score") -> bytes:
    start = (f"POST {path} HTTP/1.1", "host: x", "content-type: image/png", *lines)
    return "\r\n".join((*start, "", "")).encode()


def rest(line: socket.socket) -> bytes:
    """All that comes until the server closes."""
    found = b""
    while data := line.recv(65536):
        found += data
    return found


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


def test_a_chunked_body_is_as_good_as_any(server: Running, png: Png) -> None:
    with connected(server) as line:
        line.sendall(head("transfer-encoding: chunked", "connection: close"))
        for chunk in chunks(png(), 7):
            line.sendall(chunk)
        assert rest(line).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [1001, 5000, 100_000])
def test_a_body_over_the_limit_is_413_as_declared_and_as_streamed(size: int, serve: Serve) -> None:
    server = serve(max_body=1000)
    declared = server.post("/score", bytes(size))
    with connected(server) as line:
        line.sendall(head("transfer-encoding: chunked") + b"".join(chunks(bytes(size), 500)))
        streamed = rest(line)
    assert (declared.status, streamed[:13]) == (413, b"HTTP/1.1 413 ")
    for answer in (declared.body, streamed):
        assert b"at most 1000 bytes" in answer and b"--max-body" in answer
    assert f"found {size} bytes".encode() in declared.body
    assert server.post("/score", bytes(1000)).status == 400  # at the limit it is read, and is no image


def test_a_declared_size_over_the_limit_is_refused_before_it_is_sent(serve: Serve) -> None:
    server = serve(max_body=1000)
    with connected(server) as line:
        line.sendall(head("content-length: 9999999999", "expect: 100-continue"))
        answer = rest(line)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"found 9999999999 bytes" in answer


def test_continue_is_said_when_the_body_is_wanted(server: Running, png: Png) -> None:
    data = png()
    with connected(server) as line:
        line.sendall(head(f"content-length: {len(data)}", "expect: 100-continue", "connection: close"))
        assert line.recv(100).startswith(b"HTTP/1.1 100 ")
        line.sendall(data)
        assert rest(line).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "<script>"])
def test_a_compressed_body_is_415(encoding: str, server: Running, png: Png) -> None:
    answer = server.post("/score", png(), content_encoding=encoding)
    assert answer.status == 415 and b"<script>" not in answer.body
    assert server.post("/score", png(), content_encoding="Identity").status == 200


def test_a_body_that_trickles_is_408_and_holds_no_worker(serve: Serve, png: Png) -> None:
    server = serve(workers=1, queue=1, read_seconds=0.5)
    with connected(server) as line:
        line.sendall(head("content-length: 100") + b"x")
        assert server.post("/score", png()).status == 200  # meanwhile
        until(lambda: server.context.service.requests == 0)
        answer = rest(line)
    assert answer.startswith(b"HTTP/1.1 408 ") and b"within 0.5 s" in answer


@pytest.mark.parametrize("sent", [b"", b"POST /score HT", b"POST /score HTTP/1.1\r\nhost: x\r\nx-a: b"])
def test_a_head_that_never_ends_is_cut_off(sent: bytes, serve: Serve) -> None:
    server = serve(read_seconds=0.3)
    with connected(server) as line:
        line.sendall(sent)
        assert rest(line) == b""


def test_a_second_head_that_never_ends_is_cut_off_too(serve: Serve) -> None:
    server = serve(read_seconds=0.3)
    with connected(server) as line:
        line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"Healthy"):  # it may come in pieces
            piece = line.recv(9999)
            assert piece, answer
            answer += piece
        line.sendall(b"GET /")
        assert rest(line) == b""


def test_a_head_over_64_kib_is_431(server: Running) -> None:
    with connected(server) as line:
        start = b"GET / HTTP/1.1\r\nhost: x\r\nx-a: "
        line.sendall(start + b"a" * (65537 - len(start)))
        assert rest(line).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("size", [64 << 10, 60_000])
def test_a_head_that_ends_counts_whole(size: int, server: Running) -> None:
    """In few pieces, in each of which something else ends: only the head's own size tells."""
    with connected(server) as line:
        start = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-a: "
        line.sendall(start + b"a" * size + b"\r\n\r\n")
        answer = rest(line)
    assert answer.startswith(b"HTTP/1.1 431 " if size > 60_000 else b"HTTP/1.1 200 ")


def test_also_where_it_begins_behind_another(server: Running) -> None:
    first = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    begun, ended = first[:-2] + b"x-a: " + b"a" * 40_000, b"a" * 40_000 + b"\r\n\r\n"
    with connected(server) as line:
        line.sendall(first + begun)
        assert line.recv(9999).startswith(b"HTTP/1.1 200 ")
        line.sendall(ended)
        assert rest(line).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [(b"\x16\x03\x01 TLS\r\n\r\n", 400, "bad_request"), (b"GET /" + b"a" * 65537, 431, "too_large")],
)
def test_what_is_no_request_is_answered_as_every_error_is(sent: bytes, status: int, code: str, server: Running) -> None:
    with connected(server) as line:
        line.sendall(sent)
        head, _, body = rest(line).partition(b"\r\n\r\n")
    found = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % status) and b"\r\nconnection: close" in head
    assert found["error"]["code"] == code and found["error"]["hint"]
    assert f"x-request-id: {found['request_id']}".encode() in head.split(b"\r\n")


@pytest.mark.parametrize(("digits", "status"), [(20, 200), (21, 400), (5000, 400)])
@pytest.mark.parametrize("path", ["/score", "/skill"])
def test_a_length_of_thousands_of_digits_is_the_caller_s_fault(
    path: str, digits: int, status: int, server: Running
) -> None:
    body = b'{"data":[]}' if path == "/score" else b'{"values":[]}'
    with connected(server) as line:
        start = head(f"content-length: {len(body):0{digits}}", "connection: close", path=path)
        line.sendall(start.replace(b"image/png", b"application/json") + body)
        assert rest(line).startswith(b"HTTP/1.1 %d " % status)


def test_fields_behind_a_body_are_none_of_the_head(server: Running, png: Png) -> None:
    with connected(server) as line:
        piece = b"%x\r\n%s\r\n" % (len(png()), png())
        start = head("transfer-encoding: chunked", "connection: close")
        line.sendall(start + piece + b"0\r\ncontent-encoding: gzip\r\n\r\n")
        assert rest(line).startswith(b"HTTP/1.1 200 ")


def test_all_bodies_together_are_bounded_and_given_back(serve: Serve, png: Png) -> None:
    server = serve(max_body=3000, max_held=4000)
    bodies = server.context.bodies
    with connected(server) as one, connected(server) as two:
        one.sendall(head("content-length: 3000") + bytes(2500))
        until(lambda: bodies.held == 2500)
        two.sendall(head("content-length: 3000") + bytes(2000))
        answer = two.recv(9999)
        assert answer.startswith(b"HTTP/1.1 429 ") and b"retry-after: 1" in answer
        assert server.post("/score", png()).status == 200
        assert b"cva_rejected_total 1.0" in server.get("/metrics").body
        until(lambda: bodies.held == 2500)
    until(lambda: bodies.held == 0)  # a caller who left holds nothing


def test_of_large_bodies_that_come_at_once_some_are_read(serve: Serve) -> None:
    """Each gets its whole place before it is read, or none; small ones have room of their own."""
    server = serve(max_body=3 * MIB, max_held=8 * MIB)
    bodies, size = server.context.bodies, 3 * MIB
    with connected(server) as one, connected(server) as two, connected(server) as three:
        for line in (one, two):
            line.sendall(head(f"content-length: {size}") + b"x")
        until(lambda: bodies.held == 2 * size)
        three.sendall(head(f"content-length: {size}", "expect: 100-continue"))
        assert three.recv(9999).startswith(b"HTTP/1.1 429 ")
        assert server.post("/score", bytes(MIB)).status == 400  # it was read, and is no image
        one.sendall(bytes(size - 1))
        assert one.recv(9999).startswith(b"HTTP/1.1 400 ")
        until(lambda: bodies.held == size)
    until(lambda: (bodies.held, bodies.promised) == (0, 0))


def test_a_queue_that_is_full_is_429(serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(queue=1)
    monkeypatch.setattr(Service, "requests", 1)  # as if one were being scored
    answer = server.post("/score", png())
    assert (answer.status, answer.json["error"]["code"]) == (429, "busy")
    assert int(answer.headers["retry-after"]) >= 1
    assert b"cva_rejected_total 1.0" in server.get("/metrics").body
    monkeypatch.undo()
    assert server.post("/score", png()).status == 200


@pytest.mark.parametrize("path", ["/score", "/skill"])
def test_the_deadline_runs_from_the_end_of_the_body(
    serve: Serve, png: Png, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the message is parsed, or waits for others to be parsed."""
    server = serve(deadline_seconds=0.5, skill_seconds=0.5)
    image = base64.b64encode(png()).decode()
    value = {"data": [image]} if path == "/score" else {"values": [{"recordId": "0", "data": {"image": image}}]}
    name = "score.parse_score_request" if path == "/score" else "skill.parse_skill_request"
    parse = operator.attrgetter(name)(routes)

    def slowly(body: bytes) -> object:
        time.sleep(0.6)
        return parse(body)

    monkeypatch.setattr(f"scoring.server.routes.{name}", slowly)
    monkeypatch.setattr("scoring.server.lane.parse_score_request", slowly)  # is not asked for the other
    answer = server.post(path, value)
    if path == "/score":
        assert (answer.status, answer.json["error"]["code"]) == (504, "deadline_passed")
    else:
        assert "not finished within 0.5 s" in answer.json["values"][0]["errors"][0]["message"]


def test_a_deadline_that_passes_is_504(serve: Serve, png: Png) -> None:
    answer = serve(deadline_seconds=0).post("/score", png())
    assert (answer.status, answer.json["error"]["code"]) == (504, "deadline_passed")
    assert "expected 1 images scored within 0 s, 0 were" in answer.json["error"]["message"]


def test_a_caller_who_leaves_frees_the_place(serve: Serve, png: Png, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = serve(workers=1, access_log=True)
    service = server.context.service
    body = encode({"data": [text_of(png(size=(3000, 3000)))] * 40})
    with connected(server) as line:
        line.sendall(head(f"content-length: {len(body)}").replace(b"image/png", b"application/json") + body)
        until(lambda: service.requests == 1)
    until(lambda: service.requests == 0)
    until(lambda: "POST /score 499" in caplog.text)
    assert server.post("/score", png()).status == 200


@pytest.fixture
def stuck(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server whose only worker stays at its first image, longer than any test waits."""
    go_on, score = threading.Event(), service.score_image
    monkeypatch.setattr(service, "score_image", lambda *args, **options: go_on.wait(600) and score(*args, **options))
    yield serve(workers=1, deadline_seconds=600)
    go_on.set()


def calls_of(method: str, monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """The connections on which this was called, one for each time that it ended."""
    calls: list[Connection] = []
    real = getattr(Connection, method)

    def call(self: Connection, *args: object) -> None:
        real(self, *args)
        calls.append(self)

    monkeypatch.setattr(Connection, method, call)
    return calls


def json_head(length: int) -> bytes:
    return head(f"content-length: {length}").replace(b"image/png", b"application/json")


def test_also_after_a_large_last_piece(stuck: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httptools_impl, "HIGH_WATER_LIMIT", 0)  # bytes: any piece is large, and pauses reading
    requests, bodies = stuck.context.service, stuck.context.bodies
    body = encode({"data": [text_of(bytes(MIB))]})
    with connected(stuck) as line:
        line.sendall(json_head(len(body)) + body[:1])
        until(lambda: bodies.promised > 0)  # the server waits for more
        line.sendall(body[1:])
        until(lambda: requests.requests == 1)
    until(lambda: requests.requests == 0)
    until(lambda: b'status="499"' in stuck.get("/metrics").body)


@pytest.mark.parametrize("behind", [b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n", head("content-length: 9") + b"x"])
@pytest.mark.parametrize("images", [1, 2])
def test_also_where_more_waits_behind(
    images: int, behind: bytes, stuck: Running, png: Png, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = calls_of("on_headers_complete", monkeypatch)
    body = encode({"data": [text_of(png())] * images})
    with connected(stuck) as line:
        line.sendall(json_head(len(body)) + body)
        until(lambda: stuck.context.service.requests == 1)
        line.sendall(behind)
        until(lambda: len(heads) == 2)
    until(lambda: stuck.context.service.requests == 0)
    until(lambda: b'status="499"' in stuck.get("/metrics").body)


@pytest.mark.parametrize(
    "garbage", [b"\0\r\n\r\n", b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["no request", "no path"]
)
@pytest.mark.parametrize("way", ["short", "usual", "behind another"])
def test_what_came_whole_is_answered_whatever_comes_behind(
    garbage: bytes, way: str, serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the connection ends."""
    heard = calls_of("send_400_response", monkeypatch)
    go_on, score = threading.Event(), service.score_image
    monkeypatch.setattr(service, "score_image", lambda *args, **options: go_on.wait(60) and score(*args, **options))
    server = serve(workers=1)
    body = encode({"data": [text_of(png())] * 2})
    path = "/score" if way == "short" else "/score?x=1"
    start = json_head(len(body)).replace(b"/score", path.encode())
    with connected(server) as line:
        line.sendall((start + body) * (2 if way == "behind another" else 1))
        until(lambda: server.context.service.requests == 1)
        line.sendall(garbage)
        until(lambda: bool(heard))
        go_on.set()
        answer = rest(line)
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == ([200, 200] if way == "behind another" else [200])


def test_200_connections_at_once_and_health_still_answers(serve: Serve, png: Png) -> None:
    server = serve(workers=1)
    lines = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(200)]
    try:
        for line in lines:
            line.sendall(head("content-length: 100000") + b"x")
        assert server.get("/health/live").status == server.get("/health/ready").status == 200
        assert server.post("/score", png()).status == 200
    finally:
        for line in lines:
            line.close()


@pytest.mark.parametrize("given", ["abc-123", "A" * 100, "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "a/b=c+d:e._"])
def test_a_sane_request_id_is_kept(given: str, server: Running) -> None:
    answer = server.get("/nothing", x_request_id=given, x_ms_client_request_id=given)
    assert answer.headers["x-request-id"] == answer.headers["x-ms-client-request-id"] == given
    assert answer.json["request_id"] == given


@pytest.mark.parametrize("given", ["", "A" * 101, "a b", "<b>", "käse", "a\tb"])
def test_another_is_replaced(given: str, server: Running) -> None:
    answer = server.get("/nothing", x_request_id=given)
    assert answer.headers["x-request-id"] != given and len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("given", ["A" * 256, "a b", "<b>", '{"id": 1}', "~"])
def test_the_client_s_own_id_is_sent_back_whatever_a_header_can_hold(given: str, server: Running) -> None:
    assert server.get("/nothing", x_ms_client_request_id=given).headers["x-ms-client-request-id"] == given


@pytest.mark.parametrize("given", ["", "A" * 257, "käse", "a\tb", "a\x80"])
def test_what_it_cannot_is_not(given: str, server: Running) -> None:
    assert "x-ms-client-request-id" not in server.get("/nothing", x_ms_client_request_id=given).headers


@pytest.mark.parametrize("path", ["/", "/health/live", "/health/ready", "/api/healthcheck", "/metadata", "/ping"])
def test_what_answers_get_answers_head(path: str, server: Running) -> None:
    asked, probed = server.get(path), server.ask("HEAD", path)
    assert (probed.status, probed.body) == (asked.status, b"") == (200, b"")
    assert probed.headers["content-length"] == str(len(asked.body))


def test_paths_and_methods_that_are_not_there(server: Running) -> None:
    missing, wrong = server.get("/nothing"), server.get("/score")
    assert (missing.status, missing.json["error"]["code"]) == (404, "not_found")
    assert (wrong.status, wrong.json["error"]["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
    for path in ("/score/", "/docs", "/redoc"):
        assert server.get(path).status == 404


def test_an_origin_that_is_allowed_may_call_and_others_may_not(serve: Serve, png: Png) -> None:
    server = serve(cors_origins=(HERE,), keys=(b"a-key-of-this-test-0",))
    asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "x-api-key, content-type"}
    allowed = server.ask("OPTIONS", "/score", Origin=HERE, **asked)  # a preflight shows no key
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (200, HERE)
    assert "x-api-key" in allowed.headers["access-control-allow-headers"].lower()
    refused = server.ask("OPTIONS", "/score", Origin=THERE, **asked)
    assert refused.status == 400 and "access-control-allow-origin" not in refused.headers
    called = server.post("/score", png(), Origin=HERE, x_api_key="a-key-of-this-test-0")
    assert (called.status, called.headers["access-control-allow-origin"]) == (200, HERE)
    assert "x-model-version" in called.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in called.headers
    other = server.post("/score", png(), Origin=THERE, x_api_key="a-key-of-this-test-0")
    assert "access-control-allow-origin" not in other.headers
    locked = server.post("/score", png(), Origin=HERE)
    assert (locked.status, locked.headers["access-control-allow-origin"]) == (401, HERE)  # the page can read why


def test_without_origins_nothing_is_allowed(server: Running, png: Png) -> None:
    assert "access-control-allow-origin" not in server.post("/score", png(), Origin=HERE).headers
    assert server.ask("OPTIONS", "/score", Origin=HERE, Access_Control_Request_Method="POST").status == 405


def test_the_access_log_has_no_query_and_no_line_of_others(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "scoring.server.access")
    serve(access_log=True).get("/x%0Aforged?secret=1", x_request_id="me")
    until(lambda: "me" in caplog.text)
    [record] = [each.getMessage() for each in caplog.records if each.name == "scoring.server.access"]
    assert record.startswith("GET /x\\nforged 404 ") and record.endswith(" me")
    assert "secret" not in record and "\n" not in record


def test_what_utf_8_cannot_say_stays_an_escape() -> None:
    assert encode({"label": "rot\ud800 ü"}) == b'{"label":"rot\\ud800 \xc3\xbc"}'
