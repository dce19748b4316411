"""Keys: which headers, rotation without a restart, what is open, and that no key shows anywhere."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.errors import NotFoundError, StorageError, UsageError
from scoring.keys import load_keys, matches
from scoring.server.keys import KeyRing, is_open
from scoring.server.settings import ServeSettings
from tests.scoring.server.running import Running

Serve = Callable[..., Running]
Png = Callable[..., bytes]
OLD, NEW = "the-old-key-0123456789", "the-new-key-0123456789"


@pytest.fixture
def keys_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the file as a person does who rotates keys: a new one in its place, mode 0600."""
    path = tmp_path / "keys"

    def write(text: str) -> Path:
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.replace(path)
        return path

    return write


@pytest.mark.parametrize(
    "headers",
    [
        {"x_api_key": OLD},
        {"Ocp_Apim_Subscription_Key": OLD},
        {"Authorization": f"Bearer {OLD}"},
        {"authorization": f"bearer {OLD}"},  # a scheme's name has no case
        {"x_api_key": "wrong", "Authorization": f"Bearer {OLD}"},
    ],
)
def test_a_key_in_any_of_the_three_headers(headers: dict[str, str], serve: Serve, png: Png) -> None:
    assert serve(keys=(NEW.encode(), OLD.encode())).post("/score", png(), **headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_api_key": "wrong"},
        {"x_api_key": ""},
        {"x_api_key": OLD[:-1]},
        {"x_api_key": OLD + "x"},
        {"x_api_key": OLD.upper()},
        {"x_api_key": f"Bearer {OLD}"},
        {"Authorization": OLD},
        {"Authorization": f"Basic {OLD}"},
        {"Authorization": "Bearer"},
        {"x_api_key": "käse-und-noch-viel-mehr"},
        {"api_key": OLD},
    ],
)
def test_without_one_it_is_401(headers: dict[str, str], serve: Serve, png: Png) -> None:
    answer = serve(keys=(OLD.encode(),)).post("/score", png(), **headers)
    assert (answer.status, answer.json["error"]["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert OLD.encode() not in answer.body


def test_what_is_open_and_what_is_not(serve: Serve) -> None:
    server = serve(keys=(OLD.encode(),))
    for path in ("/", "/health/live", "/health/ready", "/api/healthcheck", "/openapi.json", "/swagger.json"):
        assert server.get(path).status == 200, path
    for path in ("/metadata", "/metrics", "/no/such/path", "/score", "/health", "/page", "/openapi.json/"):
        assert server.get(path).status == 401, path
    for path in ("//", "/page/../metadata", "/page/%2e%2e/metadata", "/page/..%2fmetrics"):
        assert server.get(path).status in (401, 404), path
    assert server.get("/metrics", x_api_key=OLD).status == 200


def test_nothing_of_a_locked_body_is_read(serve: Serve) -> None:
    server = serve(keys=(OLD.encode(),), max_body=10)
    assert server.post("/score", bytes(1000)).status == 401


def test_keys_rotate_without_a_restart(keys_file: Callable[[str], Path], serve: Serve) -> None:
    server = serve(keys_file=keys_file(OLD))

    def statuses() -> tuple[int, int]:
        return server.get("/metadata", x_api_key=OLD).status, server.get("/metadata", x_api_key=NEW).status

    assert statuses() == (200, 401)
    keys_file(json.dumps([OLD, NEW]))
    assert statuses() == (200, 200)
    keys_file(json.dumps({"keys": [NEW]}))
    assert statuses() == (401, 200)


@pytest.mark.parametrize("broken", ["", "short", "[1]", "{", '{"keys": "x"}'])
def test_a_broken_file_leaves_the_keys_as_they_were(
    broken: str, keys_file: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing(ServeSettings(keys_file=keys_file(OLD)))
    keys_file(broken)
    assert ring.current() == ring.current() == (OLD.encode(),)
    assert len(caplog.records) == 1  # said once, not at every request
    keys_file(NEW)
    assert ring.current() == (NEW.encode(),)


def test_a_file_that_goes_away_leaves_them_too(keys_file: Callable[[str], Path]) -> None:
    path = keys_file(OLD)
    ring = KeyRing(ServeSettings(keys_file=path))
    path.unlink()
    assert ring.current() == (OLD.encode(),)


def test_a_file_that_others_may_read_is_refused(keys_file: Callable[[str], Path]) -> None:
    path = keys_file(OLD)
    path.chmod(0o640)
    with pytest.raises(UsageError, match=r"0600, found 0640") as caught:
        KeyRing(ServeSettings(keys_file=path))
    assert OLD not in str(caught.value)


def test_a_file_is_a_file_with_keys(tmp_path: Path, keys_file: Callable[[str], Path]) -> None:
    with pytest.raises(NotFoundError):
        load_keys(tmp_path / "none")
    with pytest.raises((StorageError, UsageError)):
        load_keys(tmp_path)
    os.chmod(keys_file(""), 0o600)  # noqa: PTH101
    (tmp_path / "keys").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UsageError, match="UTF-8"):
        load_keys(tmp_path / "keys")
    assert load_keys(keys_file(f"# ours\n{OLD}\n\n  {NEW}  \n")) == (OLD.encode(), NEW.encode())


def test_no_key_shows_in_a_log_a_repr_or_an_answer(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(keys=(OLD.encode(),), access_log=True)
    answers = [
        server.get(f"/metadata?key={OLD}", x_api_key=OLD),
        server.get("/none", x_api_key=OLD),
        server.post("/score", b"x", Authorization=f"Bearer {OLD}"),
        server.get("/metadata", x_api_key=NEW),
    ]
    assert [answer.status for answer in answers] == [200, 404, 400, 401]
    assert "GET /metadata 200" in caplog.text
    for text in (caplog.text, repr(server.context.settings), *(str(answer) for answer in answers)):
        assert OLD not in text and NEW not in text


@given(shown=st.binary(max_size=40), keys=st.lists(st.binary(min_size=1, max_size=40), max_size=3))
def test_a_key_matches_itself_alone(shown: bytes, keys: list[bytes]) -> None:
    assert matches(shown, keys) is (shown in keys)
    assert all(matches(key, keys) for key in keys)


def test_an_open_path_is_exactly_that() -> None:
    assert is_open("/") and is_open("/page/page.js")
    assert not is_open("") and not is_open("/metadata") and not is_open("/Health/live") and not is_open("/page")
