"""`cva serve` as a process among callers who are slow, leave, come all at once; and through what its models do."""

from __future__ import annotations

import base64
import json
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.scoring.edge.conftest import Shelf
from tests.scoring.server import versions
from tests.scoring.server.crowd import HEALTH, Busy, Crowd, probe, score
from tests.scoring.server.process import Process, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")
Make = Callable[..., Path]
READ_SECONDS = 3.0


@pytest.fixture
def bundle(tiny_bundle: Make) -> Path:
    return tiny_bundle()


@pytest.fixture
def shelf(tmp_path: Path, tiny_bundle: Make) -> Shelf:
    return Shelf(tmp_path / "workspace", tiny_bundle)


def is_good(server: Process) -> bool:
    status, _, elements = score(server)
    return status == 200 and len(elements[0]["boxes"]) == 2


def wait_until_gone(server: Process, files: int, threads: int, **headers: str) -> None:
    """Nothing of the callers is left in it."""

    def is_idle() -> bool:
        numbers = server.get("/metrics", **headers)[1].decode().splitlines()
        return all(f"{name} 0.0" in numbers for name in ("cva_in_flight", "cva_queue_length", "cva_held_bytes"))

    until(is_idle)
    until(lambda: server.files() <= files, f"{files} files were open and more stay so")
    assert server.threads() <= threads + 2, "two threads more parse large messages"


def test_health_answers_among_two_hundred_slow_idle_and_deaf_connections(bundle: Path) -> None:
    """How soon is measured by `benchmarks/serving/robust.py`."""
    with Process("--bundle", bundle, "--read-seconds", str(READ_SECONDS), "--workers", "2") as server:
        assert is_good(server)
        files, threads = server.files(), server.threads()
        crowd = Crowd(server)
        clients = [Busy(server) for _ in range(4)]
        for client in clients:
            client.start()
        statuses, connections = [], []
        try:
            for number in range(18):
                connections.append(server.files() - files)
                statuses.append(probe(server, HEALTH[number % 2])[0])
                time.sleep(0.1)
            assert max(connections) >= 200, "they are all there while health is asked"
            until(crowd.are_cut_off)
            for client in clients:
                client.end()
            wait_until_gone(server, files, threads)  # those who never read, too, though they are still there
        finally:
            for client in clients:
                client.end()
            crowd.close()
        assert statuses == [200] * 18
        assert {status for client in clients for status in client.statuses} == {200}
        assert is_good(server)
    assert "Traceback" not in server.text


def test_callers_who_leave_at_any_point_leave_nothing_behind(bundle: Path) -> None:
    """In the head, in the body, while they are scored and in the middle of the answer; politely and not."""
    key = "a-key-that-nobody-may-see"
    image = base64.b64encode(versions.picture()).decode()
    body = json.dumps({"data": [image] * 400}).encode()
    head = b"POST /score HTTP/1.1\r\nhost: x\r\nx-api-key: %s\r\ncontent-type: application/json\r\n" % key.encode()
    whole = head + b"content-length: %d\r\n\r\n" % len(body) + body
    with Process("--bundle", bundle, "--workers", "2", "--debug", "--access-log", KEY=key) as server:
        assert score(server, **{"x-api-key": key})[0] == 200
        files, threads = server.files(), server.threads()
        for number in range(40):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
                sent = (20, len(head) + 500, len(whole), len(whole))[number % 4]
                line.sendall(whole[:sent])
                if number % 4 == 3:
                    assert line.recv(100).startswith(b"HTTP/1.1 200 ")
                if number % 8 >= 4:  # a reset instead of a goodbye
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until_gone(server, files, threads, x_api_key=key)
        assert score(server, **{"x-api-key": key})[0] == 200
    assert "Traceback" not in server.text
    assert "POST /score 499" in server.text
    assert key not in server.text
    assert image[:40] not in server.text


@hypothesis.settings(max_examples=400, deadline=None, suppress_health_check=list(hypothesis.HealthCheck), database=None)
@hypothesis.given(
    head=st.sampled_from((Crowd.HEAD, Crowd.HEAD.replace(b"content-length: 1000", b"transfer-encoding: chunked"))),
    at=st.integers(0, 120),
    cut=st.integers(0, 20),
    noise=st.binary(max_size=40)
    | st.sampled_from((b"\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"content-length: 1\r\n")),
    whole=st.booleans(),
)
def send_noise(server: Process, head: bytes, at: int, cut: int, noise: bytes, whole: bool) -> None:
    """A request's own bytes with some of them replaced, on a connection of its own."""
    body = b"5\r\nhello\r\n0\r\n\r\n" if b"chunked" in head else b"x" * 1000
    data = head + body if whole else head
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(data[:at] + noise + data[at + cut :])
        line.shutdown(socket.SHUT_WR)
        try:
            answer = line.recv(65536)
        except ConnectionResetError:
            return
    assert not answer or answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4")), answer


def test_what_is_not_http_ends_its_own_connection_and_no_other(bundle: Path) -> None:
    with Process("--bundle", bundle, "--read-seconds", str(READ_SECONDS)) as server:
        assert is_good(server)
        files, threads = server.files(), server.threads()
        send_noise(server)
        wait_until_gone(server, files, threads)
        assert is_good(server)
    assert "Traceback" not in server.text, server.text[-2000:]


def test_more_than_the_queue_holds_is_told_to_come_again(bundle: Path) -> None:
    body = json.dumps({"data": [base64.b64encode(versions.picture()).decode()] * 300}).encode()
    with Process("--bundle", bundle, "--workers", "1", "--queue", "2") as server:
        answers: list[tuple[int, dict[str, str], Any]] = []
        threads = [threading.Thread(target=lambda: answers.append(score(server, body))) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in answers if answer[0] == 429]
        assert len(answers) == 24
        assert {status for status, _, _ in answers} == {200, 429}
        assert all(int(headers["retry-after"]) >= 1 for _, headers, _ in refused)
        assert all(error["error"]["code"] == "busy" for _, _, error in refused)
        until(lambda: is_good(server))


@pytest.fixture
def followed(shelf: Shelf) -> Iterator[Process]:
    """A server that follows the registry when it is told to look."""
    versions.put(shelf, 1)
    with Process("--model", "Caps", "--reload-seconds", "0", CVA_WORKSPACE=str(shelf.workspace)) as server:
        yield server


def test_a_hangup_signal_brings_a_good_version_and_no_bad_one(followed: Process, shelf: Shelf) -> None:
    versions.put(shelf, 2)
    followed.send(signal.SIGHUP)
    until(lambda: _version(followed) == "2")
    versions.crashing_runtime(shelf, 3)
    followed.send(signal.SIGHUP)
    until(lambda: _reload(followed)["rejected"] is not None)
    assert _reload(followed)["rejected"]["version"] == "3"
    assert _version(followed) == "2"
    status, headers, elements = score(followed)
    assert (status, headers["x-model-version"], len(elements[0]["boxes"])) == (200, "2", 1)
    assert "Caps:3 was refused, Caps:2 serves on" in followed.text
    assert followed.end() == 0


def test_many_hangup_signals_are_one_look_after_the_other(followed: Process, shelf: Shelf) -> None:
    versions.put(shelf, 2)
    client = Busy(followed)
    client.start()
    for _ in range(100):
        followed.send(signal.SIGHUP)
    until(lambda: _version(followed) == "2")
    client.end()
    assert set(client.statuses) == {200}
    assert followed.end() == 0
    assert "Traceback" not in followed.text


def test_without_any_model_the_server_starts_says_why_and_serves_when_there_is_one(
    tmp_path: Path, shelf: Shelf
) -> None:
    environ = {
        "GET_LATEST_MODEL": "true",
        "EXPERIMENT_NAME": "Caps",
        "AZUREML_MODEL_DIR": str(tmp_path / "kept"),
        "CVA_WORKSPACE": str(shelf.workspace),
    }
    with Process("--reload-seconds", "0", **environ) as server:
        until(lambda: b"registry.json" in server.get("/health/ready")[1])
        assert server.get("/health/live")[0] == 200
        status, headers, error = score(server)
        assert (status, error["error"]["code"]) == (503, "not_ready")
        assert int(headers["retry-after"]) >= 1
        versions.put(shelf, 1)
        shelf.register(1, champion=1)
        until(lambda: server.get("/health/ready")[0] == 200)
        assert is_good(server)
    (shelf.models / "registry.json").unlink()
    with Process("--reload-seconds", "0", **environ) as server:
        until(lambda: server.get("/health/ready")[0] == 200)
        assert is_good(server)
        assert "version 1 serves: cannot read" in server.text


def _version(server: Process) -> str:
    return str(json.loads(server.get("/health/ready")[1])["version"])


def _reload(server: Process) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.get("/metadata")[1])["reload"]
    return found
