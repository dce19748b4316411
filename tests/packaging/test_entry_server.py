"""A bundle's score.py under Azure ML's own inference server, over real HTTP."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_training.packaging.companions import write_companions
from scoring.bundle import load_bundle, write_manifest
from scoring.edge.signing import Release
from scoring.files import sha256_of
from tests.scoring.conftest import LABELS, make_bundle, manifest

MIB = 1 << 20
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Server:
    port: int
    bundle: Path
    log: Path

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names, encode_chunked=names.get("Transfer-Encoding") == "chunked")
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def score(self, body: Any, kind: str = "application/json", **headers: str) -> tuple[int, dict[str, str], Any]:
        status, found, answer = self.ask("POST", "/score", body, Content_Type=kind, **headers)
        return status, found, json.loads(answer)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 7 of a model, mounted as Azure does it: a folder deeper."""
    made = make_bundle(tmp_path_factory.mktemp("azure") / "mount" / "bundle")
    write_companions(made, labels=LABELS, settings={}, per_label={})
    write_manifest(made, manifest())
    release = Release("Caps", 7, sha256_of(made / "manifest.json"), "2026-05-01T10:00:00Z")
    (made / "release.json").write_bytes(release.to_bytes())
    return made


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Server]:
    """Azure ML's own inference server, with two workers."""
    pytest.importorskip("azureml_inference_server_http")
    words = ["azureml_inference_server_http", "--entry_script", str(bundle / "score.py")]
    words += ["--model_dir", str(bundle.parent), "--worker_count", "2"]
    yield from started(words, bundle)


@pytest.fixture(scope="module")
def ours(bundle: Path) -> Iterator[Server]:
    """`cva serve` with the same model."""
    yield from started(["model_training", "serve", "--bundle", str(bundle)], bundle)


def started(words: list[str], bundle: Path) -> Iterator[Server]:
    """A module's server as a process, on a free port, until the tests end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = bundle.parents[1]
    log = home / f"{words[0]}.log"
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "AML_", "AZUREML"))}
    command = [sys.executable, "-m", *words, "--port", str(port)]
    with log.open("wb") as file:
        running = subprocess.Popen(command, cwd=home, env=surroundings, stdout=file, stderr=subprocess.STDOUT)
    made = Server(port, bundle, log)
    try:
        _wait(made, running)
        yield made
    finally:
        running.terminate()
        running.wait(timeout=20)


def _wait(server: Server, running: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert running.poll() is None, server.log.read_text()
        try:
            if server.ask("GET", "/")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(server.log.read_text())


def png(colour: tuple[int, int, int] = (255, 0, 0), kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, kind)
    return buffer.getvalue()


def request(*images: bytes) -> bytes:
    data = [base64.b64encode(image).decode() for image in images]
    return json.dumps({"input_data": {"columns": ["image"], "data": data}}).encode()


def test_it_is_alive_and_describes_itself(server: Server) -> None:
    status, _, body = server.ask("GET", "/")
    assert (status, body) == (200, b"Healthy")
    status, _, body = server.ask("GET", "/swagger.json")
    assert status == 200 and "/score" in json.loads(body)["paths"]


def test_json_is_answered_as_the_contract_says(server: Server) -> None:
    status, headers, answer = server.score(request(png(), b"no image", png((0, 0, 0))))
    assert status == 200 and headers["content-type"] == "application/json"
    assert [list(element) for element in answer] == [
        ["filename", "boxes"], ["filename", "boxes", "error"], ["filename", "boxes"],
    ]  # fmt: skip
    assert [element["filename"] for element in answer] == ["image_0", "image_1", "image_2"]
    [box] = answer[0]["boxes"]
    assert list(box) == ["box", "label", "score"] and list(box["box"]) == ["topX", "topY", "bottomX", "bottomY"]
    assert box["label"] == "red-cap"
    assert (answer[1]["boxes"], answer[1]["error"]["code"], answer[2]["boxes"]) == ([], "not_an_image", [])


@pytest.mark.parametrize(
    ("kind", "image"), [("image/png", "PNG"), ("image/jpeg", "JPEG"), ("application/octet-stream", "BMP")]
)
def test_raw_bytes_give_the_same_result(server: Server, kind: str, image: str) -> None:
    data = png((255, 10, 200), image)
    assert server.score(data, kind)[2] == server.score(request(data))[2] != [{"filename": "image_0", "boxes": []}]


def test_chunked_bytes_give_the_same_result(server: Server) -> None:
    data = png()
    status, _, body = server.ask(
        "POST", "/score", iter([data[:40], data[40:]]), Content_Type="image/png", Transfer_Encoding="chunked"
    )
    assert status == 200 and json.loads(body) == server.score(data, "image/png")[2]


def test_headers_say_who_answered(server: Server) -> None:
    _, headers, _ = server.score(png(), "image/png", x_request_id="mine", x_ms_client_request_id="theirs")
    assert (headers["x-model-name"], headers["x-model-version"]) == ("Caps", "7")
    assert (headers["x-request-id"], headers["x-ms-client-request-id"]) == ("mine", "theirs")
    assert headers["server-timing"].startswith(("decode;dur=", "infer;dur="))


def test_a_threshold(server: Server) -> None:
    body = png()
    for value, boxes in (("0", 3), ("0.95", 0)):
        answer = json.loads(server.ask("POST", f"/score?threshold={value}", body, Content_Type="image/png")[2])
        assert len(answer[0]["boxes"]) == boxes
    assert server.ask("POST", "/score?threshold=x", body, Content_Type="image/png")[0] == 400


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "bad_request"),
        (b"\xff\xfe", "application/json", 400, "bad_request"),
        (b'{"data":["%%%"]}', "application/json", 400, "bad_request"),  # no base64
        (b'{"images":[]}', "application/json", 400, "bad_request"),
        (b"", "image/png", 400, "not_an_image"),
        (b"no image", "image/png", 400, "not_an_image"),
        (png()[:60], "image/png", 400, "truncated"),
        (b"GIF89a", "image/png", 415, "format_not_allowed"),
        (png(), "text/plain", 415, "unsupported_media_type"),
        (png(), "image/gif", 415, "unsupported_media_type"),
        (png(), "", 415, "unsupported_media_type"),
        (bytes(33 * MIB), "image/png", 413, "image_too_large"),
        (bytes(65 * MIB), "image/png", 413, "too_large"),
    ],
)
def test_refusals_are_its_own(server: Server, body: bytes, kind: str, status: int, code: str) -> None:
    found, headers, answer = server.score(body, kind, x_request_id="r-1")
    assert (found, answer["error"]["code"]) == (status, code)
    assert set(answer) == {"error", "request_id"} and set(answer["error"]) == {"code", "message", "hint"}
    assert answer["request_id"] == headers["x-request-id"] == "r-1"
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "kind", "query"),
    [
        (request(png(), b"no", png((9, 200, 90))), "application/json", ""),
        (request(), "application/json", ""),
        (b'{"data":[]}', "application/json; charset=utf-8", "?threshold=0"),
        (png(), "image/png", "?threshold=0.001"),
        (png(kind="TIFF"), "image/jpeg", ""),
        (b"", "application/json", ""),
        (b"", "image/png", ""),
        (b"GIF89a", "application/octet-stream", ""),
        (b'{"data":["%%%"]}', "application/json", ""),
        (request(png()), "text/plain", ""),
        (png(), "image/png", "?threshold=2"),
    ],
)
def test_it_answers_as_the_scoring_server_does(
    server: Server, ours: Server, body: bytes, kind: str, query: str
) -> None:
    """The very bytes, and the same status, type and model."""
    theirs, expected = (
        each.ask("POST", f"/score{query}", body, Content_Type=kind, x_request_id="r-1") for each in (server, ours)
    )
    assert theirs[2] == expected[2]
    assert theirs[0] == expected[0]
    for name in ("content-type", "x-request-id", *(("x-model-name", "x-model-version") if theirs[0] == 200 else ())):
        assert theirs[1][name] == expected[1][name]


def test_a_request_id_is_made_where_none_is_sent(server: Server) -> None:
    _, headers, answer = server.score(b"{")
    assert answer["request_id"] == headers["x-request-id"] != ""


def test_a_stream_over_the_limit_is_not_read_to_its_end(server: Server) -> None:
    blocks = iter([bytes(MIB)] * 66)
    status, _, body = server.ask("POST", "/score", blocks, Content_Type="image/png", Transfer_Encoding="chunked")
    assert status == 413 and b"more than" in body


def test_other_methods(server: Server) -> None:
    assert server.ask("OPTIONS", "/score")[0] == 200
    status, _, body = server.ask("GET", "/score?data=1")
    assert status == 405 and json.loads(body)["error"]["code"] == "method_not_allowed"


def test_nothing_was_logged_that_must_not_be_and_no_file_was_left(server: Server) -> None:
    said = server.log.read_text()
    assert "Traceback" not in said and base64.b64encode(png()).decode()[:40] not in said
    load_bundle(server.bundle)
