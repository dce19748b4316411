"""POST /score over real HTTP: every shape, every refusal."""

from __future__ import annotations

import base64
from collections.abc import Callable

from tests.scoring.server.running import Running

Serve = Callable[..., Running]
Png = Callable[..., bytes]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_raw_bytes_and_json_give_the_same_answer(serve: Serve, png: Png) -> None:
    server = serve()
    raw, listed = server.post("/score", png()), server.post("/score", {"data": [text(png())]})
    assert (raw.status, listed.status) == (200, 200)
    assert raw.body == listed.body
    [element] = raw.json
    assert element["filename"] == "image_0"
    assert element["boxes"][0]["label"] == "green, cap"
