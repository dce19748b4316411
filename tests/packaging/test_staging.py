"""A staged folder is whole or absent, whatever happens while it is filled."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from model_training.errors import StorageError
from model_training.packaging.staging import staged


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    target = tmp_path / "a" / "bundle"
    for text in ("old", "new"):
        with staged(target) as folder:
            (folder / text).write_text(text)
            assert not (target / text).exists()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in target.parent.iterdir()] == ["bundle"]


def test_a_failure_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with staged(target) as folder:
        (folder / "old").touch()
    with pytest.raises(RuntimeError), staged(target) as folder:
        (folder / "new").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_a_killed_attempt_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".bundle.tmp").mkdir()
    (tmp_path / ".bundle.tmp" / "half").touch()
    with staged(tmp_path / "bundle") as folder:
        assert list(folder.iterdir()) == []


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No space left"), staged(tmp_path / "bundle"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_expected(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"), staged(tmp_path / "file" / "bundle"):
        raise AssertionError("not reached")
