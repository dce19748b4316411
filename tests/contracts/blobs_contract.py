"""What every `Blobs` of service.py must do, wherever its bytes are: inherit `BlobsContract` and give it `blobs`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from model_training.workspaces.azureml.service import Blobs
from scoring.errors import ConflictError, IntegrityError, NotFoundError


class BlobsContract:
    @pytest.fixture
    def blobs(self) -> Blobs:
        """An empty container."""
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 100_000])
    def test_files_come_back_as_they_went(self, blobs: Blobs, tmp_path: Path, size: int) -> None:
        file = tmp_path / "file.bin"
        file.write_bytes(random.Random(size).randbytes(size))
        assert not blobs.exists("a/b.bin")
        blobs.upload(file, "a/b.bin")
        assert blobs.exists("a/b.bin")
        (tmp_path / "new").mkdir()
        blobs.download("a/b.bin", tmp_path / "new" / "c.bin")
        assert (tmp_path / "new" / "c.bin").read_bytes() == file.read_bytes()
        assert blobs.read("a/b.bin", limit=size) == file.read_bytes()
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["c.bin"]

    def test_names_are_listed_under_a_prefix(self, blobs: Blobs) -> None:
        names = ["a#b/x", "a/1 2.txt", "a/ü+%20.txt", "b"]
        for name in names:
            blobs.write(name.encode(), name)
        assert sorted(blobs.list()) == names
        assert sorted(blobs.list("a/")) == ["a/1 2.txt", "a/ü+%20.txt"]
        assert list(blobs.list("nothing/")) == []
        assert [blobs.read(name, limit=100).decode() for name in names] == names

    def test_what_exists_is_kept_unless_it_is_to_be_overwritten(self, blobs: Blobs, tmp_path: Path) -> None:
        (tmp_path / "second").write_bytes(b"second")
        blobs.write(b"first", "x")
        with pytest.raises(ConflictError):
            blobs.write(b"second", "x")
        with pytest.raises(ConflictError):
            blobs.upload(tmp_path / "second", "x")
        assert blobs.read("x", limit=5) == b"first"
        blobs.upload(tmp_path / "second", "x", overwrite=True)
        assert blobs.read("x", limit=6) == b"second"
        blobs.write(b"third", "x", overwrite=True)
        assert blobs.read("x", limit=6) == b"third"

    def test_reading_has_a_limit(self, blobs: Blobs) -> None:
        blobs.write(b"12345", "x")
        with pytest.raises(IntegrityError, match="found 5"):
            blobs.read("x", limit=4)

    def test_what_is_not_there(self, blobs: Blobs, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError):
            blobs.read("x", limit=1)
        with pytest.raises(NotFoundError):
            blobs.download("x", tmp_path / "x")
        assert not (tmp_path / "x").exists()
