"""Images by their content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model_training.workspaces import image_store as module
from model_training.workspaces.image_store import ImageStore
from scoring.errors import IntegrityError
from scoring.files import sha256_of


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"pixels")
    return path


def test_a_file_is_linked_and_stored_once(tmp_path: Path, image: Path) -> None:
    store = ImageStore(tmp_path / "images")
    sha = sha256_of(image)
    first = store.add(image, sha, "jpg")
    assert first == tmp_path / "images" / sha[:2] / f"{sha}.jpg"
    assert first.samefile(image)
    assert store.add(image, sha, "jpg") == first
    assert list(store) == [first]
    assert sorted(path.name for path in first.parent.iterdir()) == [first.name]


def test_a_file_is_copied_where_it_cannot_be_linked(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    store = ImageStore(tmp_path / "images")
    stored = store.add(image, sha256_of(image), "jpg")
    assert (stored.read_bytes(), stored.samefile(image)) == (b"pixels", False)


def test_a_symbolic_link_is_not_stored_as_one(tmp_path: Path, image: Path) -> None:
    link = tmp_path / "link.jpg"
    link.symlink_to(image)
    stored = ImageStore(tmp_path / "images").add(link, sha256_of(image), "jpg")
    assert not stored.is_symlink()
    assert stored.read_bytes() == b"pixels"


def test_a_file_that_changed_since_it_was_hashed_is_refused(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_link", lambda source, target: False)
    store = ImageStore(tmp_path / "images")
    with pytest.raises(IntegrityError, match="changed while"):
        store.add(image, "ab" * 32, "jpg")
    assert list(store) == []
    assert not list((tmp_path / "images").glob("*/.*"))


def test_what_is_damaged_or_not_used_is_found(tmp_path: Path, image: Path) -> None:
    store = ImageStore(tmp_path / "images")
    stored = store.add(image, sha256_of(image), "jpg")
    assert (store.damaged(), store.unreferenced({stored.stem}), store.unreferenced(set())) == ([], [], [stored])
    image.write_bytes(b"painted over")
    assert store.damaged() == [stored]
