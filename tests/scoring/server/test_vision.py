"""POST /image over real HTTP: the Custom Vision shape, what its containers take, and what is refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from tests.scoring.server.running import Running

Serve = Callable[..., Running]
Png = Callable[..., bytes]


def form(content: bytes, field: str = "imageData") -> bytes:
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="a.png"\r\n\r\n'.encode()
    return head + content + b"\r\n--edge--\r\n"


def test_the_answer_says_what_score_says(serve: Serve, png: Png) -> None:
    server = serve()
    answer, [element] = server.post("/image", png()), server.post("/score", png()).json
    assert answer.status == 200
    value = answer.json
    assert set(value) == {"id", "project", "iteration", "created", "predictions"}
    assert str(uuid.UUID(value["id"])) == value["id"]
    assert [(p["tagName"], p["probability"]) for p in value["predictions"]] == [
        (b["label"], b["score"]) for b in element["boxes"]
    ]
    for prediction, found in zip(value["predictions"], element["boxes"], strict=True):
        box, sides = prediction["boundingBox"], found["box"]
        assert (box["left"], box["top"]) == (sides["topX"], sides["topY"])
        assert box["left"] + box["width"] == pytest.approx(sides["bottomX"], abs=2e-6)
        assert box["top"] + box["height"] == pytest.approx(sides["bottomY"], abs=2e-6)
    assert (answer.headers["x-model-name"], answer.headers["x-model-version"]) == ("Caps", "1")
    assert "infer;dur=" in answer.headers["server-timing"]


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/png", "image/jpeg"])
def test_bytes_of_any_image_type(serve: Serve, png: Png, kind: str) -> None:
    assert serve().post("/image", png(), content_type=kind).json["predictions"]


def test_a_multipart_form(serve: Serve, png: Png) -> None:
    server = serve()
    sent = server.post("/image", form(png()), content_type="multipart/form-data; boundary=edge")
    assert sent.status == 200
    assert sent.json["predictions"] == server.post("/image", png()).json["predictions"]


def test_a_threshold_of_ones_own(serve: Serve, png: Png) -> None:
    server, square = serve(), png(size=(40, 40))
    found = [len(server.post(f"/image?threshold={each}", square).json["predictions"]) for each in (0, 0.65, 1)]
    assert found == [3, 1, 0]


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"hello", "application/octet-stream", 400, "not_an_image"),
        (b"GIF89a....", "image/png", 415, "format_not_allowed"),  # what the bytes are counts
        (b"\x89PNG\r\n\x1a\n", "image/png", 400, "truncated"),
        (b"", "application/octet-stream", 400, "not_an_image"),
        (b"{}", "application/json", 415, "unsupported_media_type"),
        (b"hello", "text/plain", 415, "unsupported_media_type"),
        (form(b"x", "image"), "multipart/form-data; boundary=edge", 400, "bad_request"),
        (form(b"x"), "multipart/form-data", 400, "bad_request"),
        (form(b"x"), "multipart/form-data; boundary=edge", 400, "not_an_image"),
    ],
)
def test_what_is_refused(serve: Serve, content: bytes, kind: str, status: int, code: str) -> None:
    answer = serve().post("/image", content, content_type=kind)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert answer.json["error"]["hint"]


def test_limits_keys_and_no_model(serve: Serve, png: Png) -> None:
    from scoring.images import ImageLimits

    small = serve(max_body=100)
    assert small.post("/image", bytes(101)).status == 413
    assert serve(limits=ImageLimits(max_pixels=799)).post("/image", png()).status == 413
    locked = serve(keys=(b"correct horse battery",))
    assert locked.post("/image", png()).status == 401
    assert locked.post("/image", png(), x_api_key="correct horse battery").status == 200
    waiting = serve(model=None).post("/image", png())
    assert (waiting.status, "retry-after" in waiting.headers) == (503, True)


def test_an_address_is_never_opened(serve: Serve) -> None:
    answer = serve().post("/url", {"Url": "http://127.0.0.1:1/a.jpg"})
    assert answer.status == 400
    assert "address" in answer.json["error"]["message"]
    assert "127.0.0.1" not in answer.body.decode()
