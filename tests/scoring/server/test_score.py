"""POST /score over real HTTP: every shape, every refusal (CONTRACTS 8, 11 and 13)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.images import ImageLimits
from tests.scoring.server.running import Running, served

Serve = Callable[..., Running]
Png = Callable[..., bytes]
GOLDEN = Path(__file__).resolve().parents[2] / "contracts" / "score"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_answer_to_the_byte(server: Running, png: Png) -> None:
    answer = server.post("/score", png((10, 20, 250)))
    assert answer.body == (
        b'[{"filename":"image_0","boxes":[{"box":{"topX":0.0,"topY":0.0,"bottomX":0.5,"bottomY":1.0},'
        b'"label":"blue cap","score":0.7137}]}]'
    )


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("request_*.json")), ids=lambda path: path.stem)
def test_every_shape_of_the_contract_gives_the_same_answer(path: Path, server: Running) -> None:
    answer = server.post("/score", json.loads(path.read_bytes()))
    assert answer.status == 200
    assert [element["filename"] for element in answer.json] == ["image_0", "image_1"]
    assert [element["boxes"][0]["label"] for element in answer.json] == ["red-cap", "green, cap"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_raw_bytes_and_json_give_the_same_bytes(kind: str, server: Running, png: Png) -> None:
    data = png(kind=kind)
    answers = [
        server.post("/score", {"data": [text(data)]}),
        server.post("/score", data),
        server.post("/score", data, content_type=f"image/{kind.lower()}"),
        server.post("/score", data, content_type=f"IMAGE/{kind}; a=b"),
    ]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1


def test_the_type_need_not_be_the_right_one_of_those_that_may_be(server: Running, png: Png) -> None:
    assert server.post("/score", png(), content_type="image/jpeg").status == 200


def test_headers_say_who_answered_and_how_long_it_took(server: Running, png: Png) -> None:
    headers = server.post("/score", png(), x_ms_client_request_id="client-1").headers
    assert (headers["x-model-name"], headers["x-model-version"]) == ("Caps", "1")
    assert headers["x-ms-client-request-id"] == "client-1"
    assert len(headers["x-request-id"]) == 32
    parts = [part.strip().partition(";dur=") for part in headers["server-timing"].split(",")]
    assert [name for name, _, _ in parts] == ["decode", "infer"]
    assert all(float(duration) >= 0 for _, _, duration in parts)


def test_a_name_that_no_header_can_hold_is_encoded(serve: Serve, tiny_bundle: Callable[..., Path], png: Png) -> None:
    server = serve(model=replace(served(tiny_bundle()), name="Käppi\r\nx: y"))
    assert server.post("/score", png()).headers["x-model-name"] == "K%C3%A4ppi%0D%0Ax: y"


def test_a_bad_image_keeps_its_place(serve: Serve, png: Png) -> None:
    cut = png(size=(99, 99), kind="JPEG")[:300]
    images = [png(), b"hello", cut, png(kind="GIF"), png(size=(200, 200)), png((1, 1, 1))]
    answer = serve(limits=ImageLimits(max_pixels=40_000 - 1)).post("/score", {"data": [text(each) for each in images]})
    assert answer.status == 200
    assert [each["filename"] for each in answer.json] == [f"image_{at}" for at in range(6)]
    codes = [each.get("error", {}).get("code") for each in answer.json]
    assert codes == [None, "not_an_image", "truncated", "format_not_allowed", "image_too_large", None]
    assert answer.json[5]["boxes"] == []
    assert "39999 pixels" in answer.json[4]["error"]["message"] and "200 x 200" in answer.json[4]["error"]["message"]


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda png: b"hello", 400, "not_an_image"),
        (lambda png: b"", 400, "not_an_image"),
        (lambda png: png(size=(99, 99), kind="JPEG")[:300], 400, "truncated"),
        (lambda png: png(kind="GIF"), 415, "format_not_allowed"),
        (lambda png: png(size=(101, 100)), 413, "image_too_large"),
    ],
)
def test_a_single_raw_image_that_cannot_be_scored(
    make: Callable[[Png], bytes], status: int, code: str, serve: Serve, png: Png
) -> None:
    answer = serve(limits=ImageLimits(max_pixels=10_000)).post("/score", make(png))
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert answer.json["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("kind", ["text/plain", "image/gif", "image/svg+xml", "multipart/form-data", "", "json"])
def test_another_type_is_415(kind: str, server: Running, png: Png) -> None:
    answer = server.post("/score", png(), content_type=kind)
    assert (answer.status, answer.json["error"]["code"]) == (415, "unsupported_media_type")
    assert "application/json" in answer.json["error"]["message"]


def test_a_type_whose_format_is_not_allowed_is_415(serve: Serve, png: Png) -> None:
    server = serve(limits=ImageLimits(formats=("JPEG",)))
    assert server.post("/score", png(), content_type="image/png").status == 415
    assert server.post("/score", png()).status == 415  # known by its bytes
    assert server.post("/score", png(kind="JPEG"), content_type="image/jpeg").status == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'{"data":"x"}', b'{"data":["%%%"]}', b'{"input_data":{}}', b"\xff", b"[" * 100_000],
)
def test_what_is_no_request_is_400(body: bytes, server: Running) -> None:
    answer = server.post("/score", body, content_type="application/json")
    assert answer.status == 400
    assert answer.json["error"]["code"] == "bad_request"
    assert answer.json["error"]["hint"]


def test_no_images_is_an_answer(server: Running) -> None:
    answer = server.post("/score", {"data": []})
    assert (answer.status, answer.body) == (200, b"[]")


def test_the_threshold_of_a_request(server: Running, png: Png) -> None:

    def labels(query: str) -> list[str]:
        return [box["label"] for box in server.post(f"/score{query}", png()).json[0]["boxes"]]

    assert labels("") == labels("?threshold=0.3") == labels("?other=1") == ["green, cap"]
    assert labels("?threshold=0.6") == labels("?threshold=1") == []
    assert labels("?threshold=0") == labels("?threshold=1e-3") == ["green, cap", "blue cap"]


@pytest.mark.parametrize("given", ["2", "-0.1", "nan", "inf", "x", "", "0_1", "0.1&threshold=0.2", "١"])
def test_a_threshold_out_of_range_is_400(given: str, server: Running, png: Png) -> None:
    from urllib.parse import quote

    answer = server.post(f"/score?threshold={quote(given, safe='&=')}", png())
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_request")
    assert "from 0 to 1" in answer.json["error"]["message"]


def test_too_many_images_are_413_with_limit_size_and_setting(serve: Serve, png: Png) -> None:
    server = serve(max_images=2)
    assert server.post("/score", {"data": [text(png())] * 2}).status == 200
    answer = server.post("/score", {"data": [text(png())] * 3})
    assert answer.status == 413
    for word in ("at most 2 images", "max_images", "found 3"):
        assert word in answer.json["error"]["message"]


def test_a_message_of_very_many_values_is_not_even_parsed(server: Running) -> None:
    body = b'{"data":[' + b"[]," * 200_000 + b"[]]}"
    answer = server.post("/score", body, content_type="application/json")
    assert answer.status == 413
    assert "JSON values" in answer.json["error"]["message"]


def test_a_fault_of_the_model_is_500_with_no_reason(
    serve: Serve, tiny_bundle: Callable[..., Path], png: Png, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __init__(self, real: Any) -> None:
            self.bundle, self.labels = real.bundle, real.labels

        def detect(self, *args: Any, **options: Any) -> Any:
            raise RuntimeError("secret words of the runtime")

    page = "https://pages.example.org"  # may read that it was our fault
    broken = served(tiny_bundle(), detector=Broken(served(tiny_bundle("other")).detector))
    server = serve(model=broken, cors_origins=(page,))
    server.headers["origin"] = page
    for answer in (server.post("/score", png()), server.post("/score", {"data": [text(png())] * 3})):
        assert (answer.status, set(answer.json)) == (500, {"message", "request_id"})
        assert b"secret" not in answer.body and b"Traceback" not in answer.body
        assert answer.headers["access-control-allow-origin"] == page
        identity = answer.headers["x-request-id"]
        assert answer.json["request_id"] == identity
        [record] = [each for each in caplog.records if identity in each.getMessage()]
        assert "secret words" in record.getMessage()
        assert record.exc_info is None and "Traceback" not in caplog.text
    assert server.get("/health/live").status == 200


@settings(deadline=None, max_examples=60)
@given(body=st.binary(max_size=200), raw=st.booleans())
def test_whatever_is_sent_is_answered_below_500(server: Running, body: bytes, raw: bool) -> None:
    answer = server.post("/score", body, content_type="image/png" if raw else "application/json")
    assert 400 <= answer.status < 500
    assert set(answer.json) == {"error", "request_id"}
