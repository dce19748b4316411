"""`cva serve` as a process of its own: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scoring.errors import StorageError, UsageError
from scoring.server.app import create_app
from scoring.server.arguments import is_loopback, parser, settings_of
from scoring.server.cli import listen, make_server
from scoring.server.context import Context
from scoring.server.settings import MIB, ServeSettings
from tests.scoring.server.process import until

Bundle = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[3]  # what is tested is what lies beside the tests
KEY = "a-key-of-this-test-0"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "model_training.cli.main", "--json", "serve", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    own = ("KEY", "DEBUG", "WEBSITES_PORT", "CVA_KEYS_FILE", "AZUREML_MODEL_DIR", "GET_LATEST_MODEL", "EXPERIMENT_NAME")
    kept = {name: value for name, value in os.environ.items() if name not in own}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@contextmanager
def serving(*arguments: object, **more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process, and the line of JSON that it prints when callers may connect."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(*arguments), env=environment(**more), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield process, json.loads(line or f'{{"stderr": {json.dumps(process.stderr.read())}}}')  # type: ignore[union-attr]
        finally:
            process.kill()


def refused(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment(**more), capture_output=True, text=True, timeout=60, check=False
    )


def ask(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(request)
        answer = b""
        while data := line.recv(65536):
            answer += data
        return answer


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "host: x", "connection: close", *headers, "", "")).encode()


def test_it_says_where_it_is_answers_and_ends_with_0(tiny_bundle: Bundle) -> None:
    with serving("--bundle", tiny_bundle(), "--port", 0, "--workers", 1) as (process, facts):
        assert facts["url"] == f"http://127.0.0.1:{facts['port']}"
        assert (facts["model"], facts["keys"], facts["workers"]) == ("Caps", False, 1)
        assert b'"status":"ready"' in ask(facts["port"], get("/health/ready"))
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    for words in ("Caps finds blue cap; green, cap; red-cap", "from 0.3", facts["url"], "only this machine", "stopped"):
        assert words in errors
    assert "Traceback" not in errors


def test_what_is_in_flight_is_finished_before_it_ends(tiny_bundle: Bundle, png: Callable[..., bytes]) -> None:
    body = png()
    with serving("--bundle", tiny_bundle(), "--port", 0) as (process, facts):
        with socket.create_connection(("127.0.0.1", facts["port"]), timeout=20) as line:
            head = f"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ncontent-length: {len(body)}\r\n\r\n"
            line.sendall(head.encode() + body[:-1])
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            line.sendall(body[-1:])
            assert line.recv(9999).startswith(b"HTTP/1.1 200 ")
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_signal_that_comes_before_the_server_runs_is_not_lost(png: Callable[..., bytes]) -> None:
    """It ends, and whoever has connected by then is answered."""
    own = ServeSettings(port=0, workers=1)
    context, body = Context.of(own), png()
    head = f"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ncontent-length: {len(body)}\r\n\r\n"
    with listen(own) as listener, socket.create_connection(listener.getsockname(), timeout=20) as line:
        line.sendall(head.encode() + body)
        server = make_server(create_app(context), own, told=[signal.SIGTERM])
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        thread.join(60)
        ended, server.should_exit = not thread.is_alive(), True
        thread.join(60)
        assert ended
        assert line.recv(9999).startswith(b"HTTP/1.1 503 ")  # no model is loaded
    context.service.close()


def test_what_is_not_finished_in_time_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    own = ServeSettings(port=0, workers=1, read_seconds=55.5, deadline_seconds=1, skill_seconds=2)
    context = Context.of(own)
    server = make_server(create_app(context), own)
    assert server.config.timeout_graceful_shutdown == 63  # 57.5 s are a request's own
    server.config.timeout_graceful_shutdown = 1
    with listen(own) as listener, socket.create_connection(listener.getsockname(), timeout=20) as line:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        line.sendall(b"POST /skill HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
        until(lambda: bool(server.server_state.tasks))
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()
        answer = line.recv(9999)
    assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: 2\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"] == "the server has ended"
    assert "Traceback" not in caplog.text and not any(record.exc_info for record in caplog.records)
    context.service.close()


def test_keys_come_from_the_environment_and_are_never_printed(tiny_bundle: Bundle) -> None:
    """Nor does --no-keys put them aside, or GET_LATEST_MODEL the bundle: what is not used is said."""
    more = {"KEY": KEY, "DEBUG": "1", "WEBSITES_PORT": "8080", "GET_LATEST_MODEL": "true", "EXPERIMENT_NAME": "Caps"}
    arguments = ("--bundle", tiny_bundle(), "--port", 0, "--access-log", "--no-keys")
    with serving(*arguments, **more) as (process, facts):
        assert facts["keys"] is True
        assert b" 401 " in ask(facts["port"], get("/metadata"))
        assert b" 200 " in ask(facts["port"], get("/metadata", f"x-api-key: {KEY}"))
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "GET /metadata 200" in errors
    assert "--no-keys is not used: there are keys, of KEY" in errors
    assert "GET_LATEST_MODEL is not used: --bundle says" in errors
    assert "WEBSITES_PORT is not used, as --port is given" in errors
    assert KEY not in out + errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "expected keys for 0.0.0.0"),
        (["--host", ""], "expected keys for every address"),
        (["--host", "::"], "expected keys for ::"),
    ],
)
def test_it_does_not_listen_openly_without_keys(arguments: list[str], words: str, tiny_bundle: Bundle) -> None:
    done = refused("--bundle", tiny_bundle(), "--port", 0, *arguments)
    assert done.returncode == 2
    assert words in done.stderr and "--no-keys" in done.stderr
    assert words in json.loads(done.stdout)["error"]["message"]


def test_a_bundle_with_a_changed_byte_is_not_served(tiny_bundle: Bundle) -> None:
    bundle = tiny_bundle()
    (bundle / "labels.json").write_text('["x"]')
    done = refused("--bundle", bundle, "--port", 0)
    assert done.returncode == 4 and "changed: labels.json" in done.stderr


def test_a_port_that_is_taken_is_said(tiny_bundle: Bundle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StorageError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen(ServeSettings(port=port))


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises((StorageError, UsageError)):
        listen(ServeSettings(host="no.such.host.invalid"))


def settings(*arguments: str, **environ: str) -> ServeSettings:
    return settings_of(parser().parse_args(arguments), environ)


def test_every_option_reaches_the_settings() -> None:
    found = settings(
        *("--host", "::1", "--port", "81", "--workers", "3", "--threads", "2", "--provider", "cuda", "--queue", "5"),
        "--fast-jpeg",
        *("--max-body", "7", "--max-images", "6", "--max-image", "4", "--max-pixels", "9", "--deadline-seconds", "1.5"),
        *("--skill-seconds", "2.5", "--read-seconds", "3.5", "--reload-seconds", "0", "--access-log", "--debug"),
        *("--cors-origin", "https://a.example", "--cors-origin", "http://localhost:3000"),
    )
    assert (found.host, found.port, found.workers, found.threads, found.provider) == ("::1", 81, 3, 2, "cuda")
    assert (found.queue, found.max_body, found.max_held, found.max_images) == (5, 7 * MIB, 28 * MIB, 6)
    assert (found.limits.max_bytes, found.limits.max_pixels) == (4 * MIB, 9_000_000)
    assert (found.deadline_seconds, found.skill_seconds, found.read_seconds) == (1.5, 2.5, 3.5)
    assert found.fast_jpeg
    assert (found.reload_seconds, found.access_log, found.debug) == (0, True, True)
    assert found.cors_origins == ("https://a.example", "http://localhost:3000")


def test_the_defaults_are_the_settings_own() -> None:
    assert settings() == ServeSettings()


def test_the_environment_is_the_older_skills() -> None:
    found = settings("--host", "0.0.0.0", WEBSITES_PORT="8080", DEBUG="true", KEY=" a-key-of-old ")
    assert (found.port, found.debug, found.keys, found.locked) == (8080, True, (b"a-key-of-old",), True)
    assert settings("--port", "9000", WEBSITES_PORT="8080").port == 9000
    assert settings(DEBUG="0").debug is False
    file = settings(CVA_KEYS_FILE="/run/keys", KEY="another")
    assert (file.keys_file, file.keys, file.locked) == (Path("/run/keys"), (), True)
    with pytest.raises(UsageError, match="WEBSITES_PORT"):
        settings(WEBSITES_PORT="http")


def test_a_key_that_app_service_did_not_resolve_is_no_key() -> None:
    with pytest.raises(UsageError, match="not resolved"):
        settings(KEY="@Microsoft.KeyVault(SecretUri=https://vault.example/secrets/scoring-key)")


def test_no_keys_has_to_be_said() -> None:
    with pytest.raises(UsageError, match="expected keys"):
        settings("--host", "192.0.2.1")
    assert not settings("--host", "192.0.2.1", "--no-keys").locked


@pytest.mark.parametrize(
    ("host", "is_so"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host: str, is_so: bool) -> None:
    assert is_loopback(host) is is_so


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "70000"),
        ("--port", "-1"),
        ("--port", "x"),
        ("--workers", "0"),
        ("--queue", "0"),
        ("--queue", "1.5"),
        ("--deadline-seconds", "0"),
        ("--read-seconds", "inf"),
        ("--reload-seconds", "-1"),
        ("--skill-seconds", "nan"),
        ("--cors-origin", "*"),
        ("--cors-origin", "null"),
        ("--cors-origin", "https://a.example/path"),
        ("--cors-origin", "a.example"),
        ("--bundle", "a", "--model", "b"),
    ],
)
def test_wrong_words_are_refused_with_the_right_ones(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(arguments)
    assert caught.value.code == 2
    assert "expected" in (said := capsys.readouterr().err) or "not allowed with" in said


def test_help_starts_nothing_heavy() -> None:
    script = (
        "import sys, scoring.server.cli as cli; cli.parser()\n"
        "sys.exit(', '.join({'numpy', 'PIL', 'onnxruntime', 'fastapi', 'uvicorn'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert isinstance(parser(), argparse.ArgumentParser)
