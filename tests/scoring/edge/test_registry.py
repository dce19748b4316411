"""Names and versions resolved from plain files, and where the workspace is."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.edge.registry import Index, LocalRegistry, find_workspace, parse_reference
from scoring.errors import IncompatibleError, IntegrityError, NotFoundError, OfflineError, UsageError


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("Caps", ("Caps", "")),
        ("Caps:3", ("Caps", "3")),
        ("Caps:latest", ("Caps", "latest")),
        ("Caps@latest", ("Caps", "latest")),
        ("Caps@champion", ("Caps", "champion")),
        ("Caps@best", ("Caps", "best")),
    ],
)
def test_references(reference: str, parts: tuple[str, str]) -> None:
    assert parse_reference(reference) == parts


@pytest.mark.parametrize("reference", ["", "../x", "a/b", ":3", "Caps:", "Caps@", "Caps:-1", "Caps:three", "Caps@v3"])
def test_what_is_no_reference(reference: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(reference)


def test_versions_are_compared_as_numbers(shelf: Any) -> None:
    for version in (2, 10, 9):
        shelf.put(version, champion=9)
    registry = LocalRegistry(shelf.models)
    chosen = {word: registry.resolve("Caps", word).version for word in ("", "latest", "best", "champion", "2")}
    assert chosen == {"": 9, "latest": 10, "best": 9, "champion": 9, "2": 2}


def test_without_a_champion_a_bare_name_is_the_latest(shelf: Any) -> None:
    shelf.put(1)
    assert LocalRegistry(shelf.models).resolve("Caps", "").version == 1
    with pytest.raises(NotFoundError, match="no champion; versions: 1"):
        LocalRegistry(shelf.models).resolve("Caps", "best")


def test_what_is_not_there_is_named_with_what_is(shelf: Any) -> None:
    shelf.put(1)
    registry = LocalRegistry(shelf.models)
    with pytest.raises(NotFoundError, match="models: Caps"):
        registry.resolve("Cups", "latest")
    with pytest.raises(NotFoundError, match="no version 4; versions: 1"):
        registry.resolve("Caps", "4")


def test_a_registry_that_cannot_be_read(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path)
    with pytest.raises(OfflineError):
        registry.resolve("Caps", "1")
    for text, error in (("{", IntegrityError), ("[]", IntegrityError), ('{"schema":2,"models":{}}', IncompatibleError)):
        (tmp_path / "registry.json").write_text(text)
        with pytest.raises(error):
            registry.resolve("Caps", "1")


def test_a_registry_cannot_point_outside_its_folder(shelf: Any) -> None:
    shelf.put(1)
    path = shelf.models / "registry.json"
    path.write_text(path.read_text().replace('"Caps/1"', '"../../secrets"'))
    with pytest.raises(IntegrityError, match="unsafe path"):
        LocalRegistry(shelf.models).folder("Caps", 1)


def test_where_the_workspace_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "project" / ".cva"
    deep = tmp_path / "project" / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    monkeypatch.delenv("CVA_WORKSPACE")
    assert find_workspace() == deep / ".cva"  # none yet: a new one would be here
    home.mkdir()
    (home / "workspace.json").write_text("{}")
    assert find_workspace() == home
    assert find_workspace(tmp_path / "project") == home
    monkeypatch.setenv("CVA_WORKSPACE", str(tmp_path / "other"))
    assert find_workspace() == tmp_path / "other"
    assert find_workspace(home) == home


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 12) | st.text(max_size=3) | st.just("a" * 64),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["1", "2", "01", "x", "versions", "champion", "path", "manifest_sha256"]), inner
        )
    ),
    max_leaves=12,
)


@given(_VALUES, st.sampled_from(["", "latest", "best", "1"]))
def test_whatever_an_index_says_it_answers_or_refuses(model: object, version: str) -> None:
    """A registry is written by others: no shape of it may end in anything but a version or an error of ours."""
    data = json.dumps({"schema": 1, "models": {"Caps": model}}).encode()
    with contextlib.suppress(IntegrityError, NotFoundError):
        found = Index.parse(data, "here").resolve("Caps", version)
        assert found.version >= 0 and len(found.manifest_sha256) == 64


@given(st.binary(max_size=60))
def test_whatever_bytes_an_index_has(data: bytes) -> None:
    with pytest.raises((IntegrityError, IncompatibleError)):
        Index.parse(data, "here")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("name", ["release.json", "notes.txt", "golden/0001.png"])
def test_neither_a_link_nor_a_pipe_is_opened(shelf: Any, name: str, tmp_path: Path) -> None:
    """A pipe would block for ever, a link leads anywhere; also in what no listing checks."""
    path = shelf.put(1) / name
    path.unlink(missing_ok=True)
    (tmp_path / "secret").write_text("secret")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(IntegrityError, match="link or a special file"):
        LocalRegistry(shelf.models).fetch("Caps", 1, name)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(IntegrityError, match="link or a special file"):
        LocalRegistry(shelf.models).fetch("Caps", 1, name)
