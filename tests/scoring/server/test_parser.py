"""Who asks for another protocol is answered in HTTP/1.1, with the body that came; nothing of it is the next request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from scoring.server.parser import plain_head
from tests.scoring.server.running import Running, connected, text_of

Png = Callable[..., bytes]
WISHES = {
    "h2c": ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAoAAA"),
    "websocket": ("connection: upgrade", "Upgrade: websocket", "sec-websocket-version: 13"),
}
LAST = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def head(*lines: str, method: str = "POST", path: str = "/score", version: str = "1.1") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/{version}", "host: x", *lines, "", "")).encode()


def answers(server: Running, *pieces: bytes) -> list[tuple[int, bytes]]:
    """Status and body of all that the server says until it closes."""
    with connected(server) as line:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(0.05 if len(pieces) < 9 else 0.001)  # a segment each
        found = b""
        while data := line.recv(65536):
            found += data
    parts = found.split(b"HTTP/1.1 ")[1:]
    return [(int(part[:3]), part.partition(b"\r\n\r\n")[2]) for part in parts]


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("kind", ["image/png", "application/json"])
@pytest.mark.parametrize("cut", ["at once", "body apart", "byte by byte", "in the head"])
def test_a_body_is_scored(wish: str, kind: str, cut: str, server: Running, png: Png) -> None:
    body = png() if kind == "image/png" else json.dumps({"data": [text_of(png())]}).encode()
    start = head(*WISHES[wish], f"content-type: {kind}", f"content-length: {len(body)}")
    whole = start + body
    pieces = {
        "at once": [whole + LAST],
        "body apart": [start, body, LAST],
        "byte by byte": [bytes([byte]) for byte in whole] + [LAST],
        "in the head": [whole[:40], whole[40 : len(start) - 2], whole[len(start) - 2 :] + LAST],
    }[cut]
    (status, answer), (alive, _) = answers(server, *pieces)
    assert (status, alive) == (200, 200)
    assert json.loads(answer)[0]["boxes"]


def test_a_body_in_pieces_is_scored(server: Running, png: Png) -> None:
    start = head(*WISHES["h2c"], "content-type: image/png", "transfer-encoding: chunked")
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (png()[:20], png()[20:]))
    assert [status for status, _ in answers(server, start, body, b"0\r\n\r\n", LAST)] == [200, 200]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_who_wants_the_end_gets_it_after_the_answer(version: str, server: Running, png: Png) -> None:
    wish = ("connection: close, upgrade", "upgrade: h2c")
    start = head(*wish, "content-type: image/png", f"content-length: {len(png())}", version=version)
    assert [status for status, _ in answers(server, start, png())] == [200]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_is_never_the_next_request(version: str, server: Running) -> None:
    """A proxy that counts one request here, and its answer, would hand on another's."""
    inside = b"GET /metadata HTTP/1.1\r\nhost: x\r\n\r\n"
    start = head(*WISHES["h2c"], "content-type: image/png", f"content-length: {len(inside)}", version=version)
    found = answers(server, start, inside, LAST)
    assert [status for status, _ in found] == ([400, 200] if version == "1.1" else [400])
    assert b"not_an_image" in found[0][1]


def test_many_wishes_at_once(server: Running) -> None:
    one = head(*WISHES["h2c"], method="GET", path="/health/live")
    assert [status for status, _ in answers(server, one * 10 + LAST)] == [200] * 11


def test_a_tunnel_is_refused_and_ends_the_connection(server: Running) -> None:
    found = answers(server, head(method="CONNECT", path="/score") + LAST, LAST)
    assert [status for status, _ in found] == [405]


def test_the_plain_head_is_the_same_but_for_the_wish() -> None:
    headers = [(b"host", b"x"), (b"upgrade", b"h2c"), (b"content-length", b"3")]
    assert plain_head(b"POST", b"/a?b", "1.0", headers) == b"POST /a?b HTTP/1.0\r\nhost: x\r\ncontent-length: 3\r\n\r\n"
