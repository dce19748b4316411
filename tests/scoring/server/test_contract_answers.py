"""The table of statuses (CONTRACTS 11) on every route that scores, and that none of them opens an address (13)."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scoring.images import ImageLimits
from scoring.server.service import Service
from tests.scoring.server.running import Answer, Running, served

Serve = Callable[..., Running]
Png = Callable[..., bytes]
Ask = Callable[[Running, bytes], Answer]
JSON, BYTES = "application/json", "application/octet-stream"
INFER = "/v2/models/Caps/infer"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def message(path: str, image: str) -> Any:
    """The message of a JSON route with one picture, given as a text."""
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [image]}
    return {
        "/score": {"input_data": {"columns": ["image"], "data": [image]}},
        "/skill": {"values": [{"recordId": "0", "data": {"image": image}}]},
        "/api/extraction": {"image": image},
        INFER: {"inputs": [tensor]},
        "/invocations": {"inputs": {"image": [image]}},
    }[path]


ALL_JSON = ["/score", "/skill", "/api/extraction", INFER, "/invocations"]
ALL = [*ALL_JSON, "raw", "/image"]
routes = pytest.mark.parametrize("route", ALL)
json_routes = pytest.mark.parametrize("route", ALL_JSON)


def ask(server: Running, route: str, picture: bytes, **headers: str) -> Answer:
    if route in ALL_JSON:
        return server.post(route, message(route, text(picture)), **headers)
    return server.post("/score" if route == "raw" else route, picture, **headers)


def error_of(answer: Answer, route: str) -> tuple[str, str]:
    """Message and hint of a refusal, in the shape that the route has them."""
    value = answer.json
    if route == INFER:
        assert set(value) == {"error"} and isinstance(value["error"], str)
        return value["error"], "in it"
    assert set(value) == {"error", "request_id"} and set(value["error"]) == {"code", "message", "hint"}
    assert value["request_id"] == answer.headers["x-request-id"]
    return value["error"]["message"], value["error"]["hint"]


@routes
def test_a_good_request_names_who_answered(server: Running, png: Png, route: str) -> None:
    answer = ask(server, route, png(), x_ms_client_request_id="client-1", x_request_id="mine-1")
    assert answer.status == 200
    assert (answer.headers["x-model-name"], answer.headers["x-model-version"]) == ("Caps", "1")
    assert (answer.headers["x-ms-client-request-id"], answer.headers["x-request-id"]) == ("client-1", "mine-1")
    assert answer.headers["server-timing"].startswith("decode;dur=")
    assert b"green, cap" in answer.body


@json_routes
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"data":1}', b'"text"'])
def test_bad_json_and_wrong_shapes_are_400(server: Running, route: str, body: bytes) -> None:
    answer = server.ask("POST", route, body, content_type=JSON)
    assert answer.status == 400
    assert all(error_of(answer, route))


@json_routes
def test_a_message_of_very_many_values_is_413_and_not_parsed(server: Running, route: str) -> None:
    """It is not JSON at its end, which a parser would say."""
    answer = server.ask("POST", route, b'{"data":[' + b"[]," * 60_000 + b"]", content_type=JSON)
    assert answer.status == 413
    assert "JSON values" in error_of(answer, route)[0]


@json_routes
def test_bad_base64_is_400_but_for_a_record_of_a_batch(server: Running, route: str) -> None:
    answer = server.post(route, message(route, "@@@"))
    if route == "/skill":
        [record] = answer.json["values"]
        assert (answer.status, record["data"], record["errors"]) == (
            200,
            {},
            [{"message": "'image' is not valid base64"}],
        )
    else:
        assert answer.status == 400
        assert "base64" in error_of(answer, route)[0]


@routes
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_type_is_415(server: Running, png: Png, route: str, kind: str) -> None:
    answer = ask(server, route, png(), content_type=kind)
    assert answer.status == 415
    assert all(error_of(answer, route))


@routes
def test_a_missing_or_wrong_key_is_401_in_one_shape(serve: Serve, png: Png, route: str) -> None:
    server = serve(keys=(b"correct horse battery",))
    for headers in ({}, {"x_api_key": "wrong horse battery"}):
        answer = ask(server, route, png(), **headers)
        assert (answer.status, answer.json["error"]["code"]) == (401, "unauthorized")
    assert ask(server, route, png(), x_api_key="correct horse battery").status == 200


@routes
def test_a_body_over_the_limit_is_413_with_limit_size_and_setting(serve: Serve, png: Png, route: str) -> None:
    answer = ask(serve(max_body=50), route, png())
    assert answer.status == 413
    words, _ = error_of(answer, route)
    assert "at most 50 bytes" in words and "--max-body" in words and "found" in words


@pytest.mark.parametrize("route", ["raw", "/image", "/api/extraction"])
def test_the_one_image_over_a_limit_is_413_with_limit_size_and_setting(serve: Serve, png: Png, route: str) -> None:
    answer = ask(serve(limits=ImageLimits(max_pixels=799)), route, png())
    assert answer.status == 413
    words, hint = error_of(answer, route)
    assert "799 pixels" in words and "40 x 20 pixels" in words and "--max-pixels" in hint


@routes
def test_a_full_queue_is_429_with_retry_after(
    serve: Serve, png: Png, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    server = serve(queue=1)
    monkeypatch.setattr(Service, "requests", 1)  # as if one were being scored
    answer = ask(server, route, png())
    assert (answer.status, int(answer.headers["retry-after"]) >= 1) == (429, True)
    assert all(error_of(answer, route))
    monkeypatch.undo()
    assert ask(server, route, png()).status == 200


@routes
def test_without_a_model_it_is_503_with_retry_after_and_the_reason(serve: Serve, png: Png, route: str) -> None:
    server = serve(model=None)
    server.context.service.not_ready("the disk is on fire")
    answer = ask(server, route, png())
    assert (answer.status, int(answer.headers["retry-after"]) >= 1) == (503, True)
    assert "the disk is on fire" in error_of(answer, route)[0]


@routes
def test_a_deadline_is_504_but_for_a_batch_of_records(serve: Serve, png: Png, route: str) -> None:
    answer = ask(serve(deadline_seconds=0, skill_seconds=0), route, png())
    if route == "/skill":
        [record] = answer.json["values"]
        assert (answer.status, record["data"]) == (200, {})
        assert "not finished" in record["errors"][0]["message"]
    else:
        assert answer.status == 504
        assert all(error_of(answer, route))


@routes
def test_our_own_fault_is_500_in_one_shape(
    serve: Serve, tiny_bundle: Callable[..., Path], png: Png, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __init__(self, real: Any) -> None:
            self.bundle, self.labels = real.bundle, real.labels

        def detect(self, *args: Any, **options: Any) -> Any:
            raise RuntimeError("a secret of the runtime")

    real = served(tiny_bundle())
    answer = ask(serve(model=served(tiny_bundle("other"), detector=Broken(real.detector)), debug=True), route, png())
    assert (answer.status, set(answer.json)) == (500, {"message", "request_id"})
    assert b"secret" not in answer.body and b"detect" not in answer.body
    assert "Traceback" not in caplog.text


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[object]]]:
    """An address on this machine, and who has called there."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    line, caller = listener.accept()
                except OSError:
                    return
                calls.append(caller)
                line.close()

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.png", calls
        listener.shutdown(socket.SHUT_RDWR)


def shapes(address: str) -> list[Any]:
    """Whatever a client of some other system might give an address in."""
    file = {"$type": "file", "url": address}
    values = [address, [address], {"url": address}, {"Url": address}, {"image_url": address}, {"uri": address}, file]
    wrapped = [json.dumps({"image_url": address}), {"image": address}, {"image": file}, {"images": [file]}]
    return [*values, *wrapped, {"data": [address]}, {"data": [{"image_url": address}]}]


@json_routes
def test_no_route_opens_an_address(server: Running, stranger: tuple[str, list[object]], route: str) -> None:
    address, calls = stranger
    for value in shapes(address):
        bodies = [value, {"values": [{"recordId": "0", "data": value}]}, {"inputs": value}, {"instances": [value]}]
        for body in [*bodies, message(route, value)]:
            answer = server.post(route, body)
            assert answer.status in (200, 400) and address.encode() not in answer.body
            if answer.status == 200:
                assert all(record["errors"] for record in answer.json["values"])
    for path in ("/url", "/image", "/score"):
        server.ask("POST", path, json.dumps({"Url": address}).encode(), content_type=JSON)
        server.ask("POST", path, address.encode(), content_type=BYTES)
    assert calls == []
    socket.create_connection(("127.0.0.1", int(address.split(":")[2].split("/")[0]))).close()
    for _ in range(200):
        if calls:
            break
        threading.Event().wait(0.01)
    assert len(calls) == 1  # it does count
