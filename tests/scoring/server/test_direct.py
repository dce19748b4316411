"""The short way answers as FastAPI's own does, and no route is lost on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi import FastAPI

from scoring.server.direct import Direct
from tests.scoring.server.running import Running

Serve = Callable[..., Running]

ASKED = [
    ("GET", "/health/live", None),
    ("HEAD", "/health/live", None),
    ("GET", "/metadata", None),
    ("GET", "/v2", None),
    ("GET", "/swagger.json?version=9", None),
    ("POST", "/score", b"not json"),
    ("POST", "/skill", b"[]"),
    ("PUT", "/score", b""),
    ("OPTIONS", "/score", None),
    ("GET", "/nothing", None),
    ("GET", "/score/", None),
    ("GET", "//score", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ASKED)
def test_the_answers_are_the_same(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: bytes | None
) -> None:
    headers = {"x_request_id": "one"} | ({} if body is None else {"content_type": "application/json"})
    found = []
    short = serve(model=None)
    found.append(short.ask(method, path, body, **headers))
    counted = short.get("/metrics").body
    with monkeypatch.context() as patch:
        patch.setattr(Direct, "_find", lambda self, scope: None)
        long = serve(model=None)
        found.append(long.ask(method, path, body, **headers))
        other = long.get("/metrics").body
    for each in found:
        each.headers.pop("date", None)
    assert found[0] == found[1]
    assert requests(counted) == requests(other)


def requests(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if line.startswith(b"cva_requests_total{")]


def test_a_plain_path_needs_no_fastapi(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above compares are two ways indeed."""

    async def refuses(*_: object) -> None:
        raise AssertionError("asked FastAPI")

    server = serve()
    monkeypatch.setattr(FastAPI, "__call__", refuses)
    assert server.get("/health/ready").status == 200
    assert server.post("/score", b"no image").status == 400
    assert server.get("/v2/models/Caps").status == 500  # has a part to fill in
