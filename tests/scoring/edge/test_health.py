"""The health window, asked of a real server: the new version is served, or the one before is current again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import load_bundle
from scoring.edge.golive import confirm
from scoring.edge.health import Health
from scoring.edge.pull import pull
from scoring.edge.registry import LocalRegistry
from scoring.edge.store import State, Store
from scoring.errors import SelfTestError, UsageError
from tests.scoring.edge.webserver import Behaviour, serve


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Behaviour]]:
    """A device's server, as far as a pull asks it; `follow` decides what it says."""
    (tmp_path / "server/health").mkdir(parents=True)
    (tmp_path / "server/health/ready").write_text("{}")
    (tmp_path / "server/metadata").write_text("{}")
    with serve(tmp_path / "server") as (url, behaviour):
        yield url, behaviour


@pytest.fixture
def go(
    shelf: Any, tmp_path: Path, server: tuple[str, Behaviour], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """`go()` pulls the latest version with a window of a moment; `follows` makes the server serve `current`."""
    monkeypatch.setattr("scoring.edge.pull.self_test", lambda folder, **_: None)

    def run(word: str = "latest", *, follows: bool = True, seconds: float = 0.2, key: str = "") -> Any:
        server[1].change = (lambda path, data: answer(path, data, tmp_path)) if follows else lambda path, data: data
        health = Health(server[0], seconds, pause=0.02, key=key)
        return pull(LocalRegistry(shelf.models), "Caps", word, tmp_path / "device", health=health)

    return run


def answer(path: str, data: bytes, folder: Path) -> bytes:
    """/metadata as the device's own server gives it: what lies under `current` now."""
    if path != "metadata":
        return data
    store = Store(folder / "device/Caps")
    version = store.current()
    digest = LocalRegistry(folder / "workspace/models").resolve("Caps", str(version)).manifest_sha256
    return json.dumps({"name": "Caps", "version": str(version), "manifest_sha256": digest}).encode()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "device/Caps")


def test_state_is_committed_when_the_server_serves_it(shelf: Any, go: Callable[..., Any], store: Store) -> None:
    for version in (1, 2):
        shelf.put(version)
        assert go().status == "updated"
        assert (store.current(), store.state().current) == (version, version)


def test_a_version_that_does_not_go_live_goes_and_is_remembered(
    shelf: Any, go: Callable[..., Any], store: Store
) -> None:
    shelf.put(1)
    go()
    shelf.put(2)
    with pytest.raises(SelfTestError, match="did not go live") as caught:
        go(follows=False)
    assert caught.value.exit_code == 5
    assert (store.current(), store.state().current) == (1, 1)
    assert [path.name for path in store.versions.iterdir()] == ["1"]
    load_bundle(store.root / "current")
    with pytest.raises(SelfTestError, match="rejected on this machine before"):
        go()
    assert go("2").version == 2  # asked for by number: tried again
    assert store.state().rejected == {}


def test_the_first_version_that_does_not_go_live_leaves_nothing(
    shelf: Any, go: Callable[..., Any], store: Store
) -> None:
    shelf.put(1)
    with pytest.raises(SelfTestError, match="nothing is installed"):
        go(follows=False)
    assert (store.current(), list(store.versions.iterdir())) == (None, [])


def test_a_window_that_was_cut_short_is_waited_for_again(shelf: Any, go: Callable[..., Any], store: Store) -> None:
    shelf.put(1)
    go()
    shelf.put(2)
    go()
    state = store.state()
    store.write_state(State(1, state.known["1"], None, state.updated_at, {}, {"1": state.known["1"]}))  # as before
    with pytest.raises(SelfTestError, match="did not go live"):
        go(follows=False)
    assert (store.current(), store.state().current) == (1, 1)


def test_what_is_live_is_not_asked_about_again(
    shelf: Any, go: Callable[..., Any], store: Store, server: tuple[str, Behaviour]
) -> None:
    shelf.put(1)
    go()
    asked = len(server[1].seen)
    assert go(follows=False).status == "current"
    (store.root / "versions/1/labels.json").write_text("")
    assert go(follows=False).status == "updated"  # mended
    assert (len(server[1].seen), store.current()) == (asked, 1)


def test_a_server_that_refuses_the_key_is_seen_before_anything_changes(
    shelf: Any, go: Callable[..., Any], store: Store, server: tuple[str, Behaviour]
) -> None:
    shelf.put(1)
    server[1].key = "sesame-" * 4
    for key, words in (("", "answers only to those who show a key"), ("another", "refuses the key")):
        with pytest.raises(UsageError, match=words) as caught:
            go(key=key)
        assert server[1].key not in f"{caught.value} {caught.value!r}"
        assert (store.current(), list(store.versions.iterdir()), store.state()) == (None, [], State())
    assert go(key=server[1].key).version == 1
    shelf.put(2)
    with pytest.raises(UsageError):
        go()
    assert (store.current(), store.state().rejected) == (1, {})
    assert go(key=server[1].key).version == 2


def test_a_key_that_is_refused_only_after_the_swap_says_nothing_about_the_version(
    shelf: Any, go: Callable[..., Any], store: Store, server: tuple[str, Behaviour]
) -> None:
    """The server starts with the first version, and has keys."""
    shelf.put(1)
    told = server[1]
    told.faults.append((503, {}))  # not there when it is asked before

    def lock(text: str) -> None:
        told.key = "sesame-" * 4 if "waiting" in text else ""

    health = Health(server[0], 0.2, pause=0.02)
    with pytest.raises(UsageError, match="answers only to those"):
        pull(LocalRegistry(shelf.models), "Caps", "1", store.root.parent, health=health, say=lock)
    assert (store.current(), list(store.versions.iterdir()), store.state().rejected) == (None, [], {})
    assert go(key=told.key).version == 1


def test_a_key_goes_nowhere_else(server: tuple[str, Behaviour]) -> None:
    url, told = server
    told.faults += [(200, {}), (307, {"Location": f"{url}/metadata"})]
    assert "with manifest None" in Health(url, key="sesame").look(1, "a")
    assert [path for path, _ in told.seen] == ["/health/ready", "/metadata"]
    assert "sesame" not in repr(Health(url, key="sesame"))


@pytest.mark.parametrize(
    ("ready", "metadata", "words"),
    [
        (503, {}, "/health/ready .* says 503"),
        (200, {"version": "1", "manifest_sha256": "b"}, "serves version 1"),
        (200, {"version": "2", "manifest_sha256": "b"}, "with manifest b"),  # the number alone is not enough
        (200, {"version": "2"}, "with manifest None"),
        (200, [], "serves version None"),
    ],
)
def test_what_is_not_live(server: tuple[str, Behaviour], ready: int, metadata: Any, words: str) -> None:
    url, told = server
    (told.root / "metadata").write_text(json.dumps(metadata))
    if ready != 200:
        told.faults.append((ready, {}))
    import re

    assert re.search(words, Health(url).look(2, "a"))


def test_what_is_live(server: tuple[str, Behaviour]) -> None:
    url, told = server
    for version in ("2", 2):
        (told.root / "metadata").write_text(json.dumps({"version": version, "manifest_sha256": "a"}))
        assert Health(url + "/").wait(2, "a") == ""


def test_a_server_that_is_not_there_or_makes_no_sense(server: tuple[str, Behaviour]) -> None:
    assert "does not answer" in Health("http://127.0.0.1:9", 0.1, pause=0.02).wait(1, "a")
    (server[1].root / "metadata").write_text("<html>")
    assert "does not answer" in Health(server[0]).look(1, "a")


@pytest.mark.parametrize("url", ["ftp://host", "host:8000", "http://", "http://user:word@host", "http://h/?key=1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(UsageError):
        Health(url)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_window_that_is_none(seconds: float) -> None:
    with pytest.raises(UsageError):
        Health("http://127.0.0.1:8000", seconds)


def test_without_a_server_to_ask_nothing_is_waited_for(tmp_path: Path) -> None:
    from scoring.edge.registry import Resolved

    said: list[str] = []
    confirm(Store(tmp_path), Resolved("Caps", 1, "a"), None, None, said.append)
    assert said == []
