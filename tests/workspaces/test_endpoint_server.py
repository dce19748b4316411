"""The REST call over real HTTP on loopback: answers, refusals, keys, limits."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model_training.workspaces.base import Run
from model_training.workspaces.local import LocalWorkspace
from model_training.workspaces.local.endpoint_api import MAX_BODY, EndpointApi
from model_training.workspaces.local.endpoint_server import EndpointServer, make_server
from scoring.errors import NotFoundError, StorageError, UsageError
from scoring.keys import allowed, load_keys

KEYS = (b"the-first-key-0000", b"the-second-key-1111")
SUBMIT = "/endpoints/train_caps/submit"
# the body of CONTRACTS 7
BODY = {
    "ExperimentName": "cap_detection",
    "ParameterAssignments": {"model_name": "Cap_Detection_Model", "dataset_name": "caps", "cluster": "local"},
}


def not_started(workspace: LocalWorkspace, run: Run) -> Run:
    """These tests are about HTTP: the run is made, its process is not."""
    return run


@contextmanager
def serving(api: EndpointApi, lines: list[str]) -> Iterator[EndpointServer]:
    with make_server("127.0.0.1", 0, api, lines.append) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def server(published: LocalWorkspace, log: list[str]) -> Iterator[EndpointServer]:
    with serving(EndpointApi(published, start=not_started), log) as running:
        yield running


@pytest.fixture
def keyed(published: LocalWorkspace, log: list[str]) -> Iterator[EndpointServer]:
    with serving(EndpointApi(published, KEYS, start=not_started), log) as running:
        yield running


def call(server: EndpointServer, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        connection.request(method, path, data, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    is_json = answer.headers["Content-Type"] == "application/json"
    return answer.status, json.loads(text) if is_json else text


def test_a_submission_is_answered_with_an_id_that_can_be_polled(
    server: EndpointServer, published: LocalWorkspace
) -> None:
    status, answer = call(server, "POST", SUBMIT, BODY)
    assert status == 200
    assert answer["Status"] == "NotStarted"
    assert answer["ParameterAssignments"] == BODY["ParameterAssignments"]
    run = published.runs.get(answer["Id"])
    assert (run.experiment, run.parameters["endpoint_version"]) == ("cap_detection", "1")

    assert call(server, "GET", f"/runs/{run.id}") == (200, answer)
    published.runs.update(run.id, status="Completed", result={"model": "Cap_Detection_Model", "version": 1})
    status, polled = call(server, "GET", f"/runs/{run.id}")
    assert (status, polled["Status"], polled["Result"]["version"]) == (200, "Completed", 1)
    status, text = call(server, "GET", f"/runs/{run.id}/log")
    assert status == 200 and "submitted by REST" in text


def test_the_older_parameter_name_and_the_optional_keys_are_taken(server: EndpointServer) -> None:
    values = {"model_name": "M", "dataset_name": "caps", "compute_name": "local"}
    body = {**BODY, "ParameterAssignments": values, "RunSource": "SDK", "DataPathAssignments": {}}
    status, answer = call(server, "POST", SUBMIT, body)
    assert (status, answer["ParameterAssignments"]["cluster"]) == (200, "local")


def test_a_run_is_cancelled(server: EndpointServer) -> None:
    _, answer = call(server, "POST", SUBMIT, BODY)
    status, cancelled = call(server, "POST", f"/runs/{answer['Id']}/cancel", b"")
    assert (status, cancelled["Status"]) == (200, "Canceled")


def test_endpoints_are_listed_with_where_to_submit(server: EndpointServer) -> None:
    status, answer = call(server, "GET", "/endpoints")
    assert status == 200
    assert [(each["Name"], each["DefaultVersion"], each["SubmitUrl"]) for each in answer["value"]] == [
        ("train_caps", 1, SUBMIT)
    ]


def parameters(**change: Any) -> dict[str, Any]:
    return {**BODY, "ParameterAssignments": {**BODY["ParameterAssignments"], **change}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "expected a JSON object"),
        (b"\xff\xfe", "expected a JSON object"),
        (b"[" * 100_000, "expected a JSON object"),  # deeper than the parser goes
        ([], "found list"),
        ({}, "ParameterAssignments"),
        ({"ParameterAssignments": "x"}, "expected an object"),
        ({"ParameterAssignments": BODY["ParameterAssignments"]}, "experiment"),
        (parameters(dataset_name="nothing"), "there is no dataset 'nothing'"),
        (parameters(cluster="gpu-cluster"), "clusters: local"),
        (parameters(model_name="a/b"), "model 'a/b'"),
        (parameters(model_name=3), "model_name"),
        (parameters(epochs="3"), "unknown: epochs"),
        ({**BODY, "DataPathAssignments": {"x": {}}}, "no data path parameters"),
        ({**BODY, "Experiment": "x"}, "unknown in the body: Experiment"),
    ],
)
def test_a_wrong_body_is_400_and_makes_no_run(
    server: EndpointServer, published: LocalWorkspace, body: Any, says: str
) -> None:
    status, answer = call(server, "POST", SUBMIT, body)
    assert (status, says in answer["message"]) == (400, True), answer
    assert list(published.runs.list()) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/endpoints/other/submit"),
        ("GET", "/endpoints/other"),
        ("GET", "/endpoints/..%2f..%2fetc"),
        ("GET", "/runs/none"),
        ("GET", "/runs/../workspace.json"),
        ("POST", "/runs/none/cancel"),
        ("GET", "/"),
        ("GET", SUBMIT),  # only POST submits
    ],
)
def test_what_is_not_there_is_404_with_a_message(server: EndpointServer, method: str, path: str) -> None:
    status, answer = call(server, method, path, BODY if method == "POST" else None)
    assert (status, bool(answer["message"])) == (404, True)


def test_two_keys_open_and_no_other(keyed: EndpointServer) -> None:
    for key in KEYS:
        assert call(keyed, "GET", "/endpoints", Authorization=f"Bearer {key.decode()}")[0] == 200
    for wrong in ("Bearer nope", "Bearer ", KEYS[0].decode(), f"Basic {KEYS[0].decode()}", "Bearer ÿ"):
        status, answer = call(keyed, "GET", "/endpoints", Authorization=wrong)
        assert (status, "Bearer" in answer["message"]) == (401, True)
    assert call(keyed, "POST", SUBMIT, BODY)[0] == 401


def test_without_keys_no_page_of_a_browser_may_call(server: EndpointServer, published: LocalWorkspace) -> None:
    assert call(server, "POST", SUBMIT, BODY, Origin="https://elsewhere.example")[0] == 403
    assert call(server, "POST", SUBMIT, BODY, Host="elsewhere.example:80")[0] == 403  # a name that points here
    assert call(server, "POST", SUBMIT, BODY, Content_Type="text/plain")[0] == 415
    assert list(published.runs.list()) == []


def test_an_open_address_needs_keys(published: LocalWorkspace) -> None:
    with pytest.raises(UsageError, match=r"0\.0\.0\.0"):
        make_server("0.0.0.0", 0, EndpointApi(published), print)


def test_a_port_in_use_is_said(server: EndpointServer, published: LocalWorkspace) -> None:
    with pytest.raises(StorageError, match="cannot listen"), socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        make_server("127.0.0.1", other.getsockname()[1], EndpointApi(published), print)


def raw(server: EndpointServer, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=20) as connection:
        connection.sendall(text)
        return connection.recv(4096)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Content-Length: {MAX_BODY + 1}", b"413"),
        ("Content-Length: 99999999999999999999", b"413"),
        ("Content-Length: -1", b"411"),
        ("Transfer-Encoding: chunked", b"411"),
        ("X-None: 1", b"415"),  # no body at all: not JSON
    ],
)
def test_bodies_are_limited_before_they_are_read(server: EndpointServer, header: str, status: bytes) -> None:
    answer = raw(server, f"POST {SUBMIT} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
    assert answer.split()[1] == status


def test_our_own_fault_is_500_without_a_traceback(
    server: EndpointServer, published: LocalWorkspace, log: list[str]
) -> None:
    (published.path / "endpoints" / "train_caps" / "endpoint.json").write_text("{")
    status, answer = call(server, "GET", "/endpoints")
    assert status == 500
    assert set(answer) == {"message", "request_id"}
    assert any(answer["request_id"] in line for line in log)


def test_the_log_holds_no_keys(keyed: EndpointServer, log: list[str]) -> None:
    call(keyed, "GET", "/endpoints", Authorization=f"Bearer {KEYS[0].decode()}")
    assert any("GET /endpoints" in line for line in log)
    assert not any(KEYS[0].decode() in line for line in log)


@pytest.mark.parametrize(
    "text",
    [
        '["the-first-key-0000", "the-second-key-1111"]',
        '{"keys": ["the-first-key-0000", "the-second-key-1111"]}',
        "# ours\nthe-first-key-0000\n\n  the-second-key-1111  \n",
    ],
)
def test_keys_are_read_from_a_private_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(0o644)
    with pytest.raises(UsageError, match="0644"):
        load_keys(file)
    file.chmod(0o600)
    assert load_keys(file) == KEYS


@pytest.mark.parametrize("text", ["", "short\n", "[3]", '{"key": "x"}', "{"])
def test_a_keys_file_without_good_keys_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(UsageError):
        load_keys(file)


def test_a_missing_keys_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="keys"):
        load_keys(tmp_path / "keys")


def test_a_key_is_compared_whole() -> None:
    assert allowed("Bearer the-first-key-0000", KEYS)
    assert not allowed("Bearer the-first-key-000", KEYS)
    assert not allowed("Bearer the-first-key-0000", ())
