"""The files of one version into a staging folder: each hashed while it is written, none longer than declared.

A file that the installed version has too, by hash, is copied from there. Knows nothing about which version is in use.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scoring.bundle import FileEntry, Manifest, read_manifest
from scoring.edge.registry import Registry, Resolved
from scoring.errors import CvaError, IntegrityError, NotFoundError, OfflineError
from scoring.files import sync_folder

BLOCK = 1 << 20
STEP = 16 << 20  # bytes between two words about progress, or a tenth where that is more


@dataclass(frozen=True)
class Transfer:
    registry: Registry
    target: Resolved
    say: Callable[[str], None]
    reuse: Mapping[str, Path]  # sha256 -> a file on this device that should have it

    def run(self, manifest: Manifest, staged: Path) -> None:
        """Raises: IntegrityError, OfflineError, OSError."""
        total = sum(entry.bytes for entry in manifest.files)
        progress = Progress(self.say, total)
        for entry in manifest.files:
            path = staged / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._copied(entry, path):
                self._download(entry, path, progress)
            progress.add(entry.bytes)

    def _copied(self, entry: FileEntry, path: Path) -> bool:
        """False where there is no such file here, or it is not what it should be."""
        source = self.reuse.get(entry.sha256)
        if source is None:
            return False
        try:
            with source.open("rb") as file:
                done = write_hashed(file, path, entry.bytes)
        except FileNotFoundError:
            return False
        if done != (entry.bytes, entry.sha256):
            path.unlink()
            return False
        return True

    def _download(self, entry: FileEntry, path: Path, progress: Progress) -> None:
        name = f"{self.target.name}:{self.target.version}"
        with self._open(entry, name) as source:
            size, digest = write_hashed(_Named(source, entry.path, progress), path, entry.bytes)
        if (size, digest) != (entry.bytes, entry.sha256):
            raise IntegrityError(
                f"{entry.path} of {name} differs from its manifest: expected {entry.bytes} bytes"
                f" with sha256 {entry.sha256}, found {'more' if size > entry.bytes else size}",
                hint="the registry's copy is damaged or was changed; register the model again",
            )

    @contextlib.contextmanager
    def _open(self, entry: FileEntry, name: str) -> Iterator[BinaryIO]:
        try:
            source = self.registry.fetch(self.target.name, self.target.version, entry.path)
        except NotFoundError as error:
            raise OfflineError(f"the registry lists {name} and lacks a part of it: {error.message}") from error
        with source:
            yield source


class Progress:
    """A line each `STEP` bytes or each tenth, whichever is more; nothing for what is smaller than that."""

    def __init__(self, say: Callable[[str], None], total: int) -> None:
        self._say, self._total = say, total
        self._step = max(STEP, total // 10)
        self._done, self._said = 0, 0

    def add(self, count: int) -> None:
        self._done += count
        self.show(0)

    def show(self, part: int) -> None:
        """`part` bytes of the present file are there."""
        here = self._done + part
        if here - self._said >= self._step:
            self._said = here
            self._say(f"  {here / 1e6:.0f} of {self._total / 1e6:.0f} MB")


class _Named:
    """A source whose read errors are the registry's fault, not the disk's."""

    def __init__(self, source: BinaryIO, path: str, progress: Progress) -> None:
        self._source, self._path, self._progress = source, path, progress
        self._count = 0

    def read(self, size: int) -> bytes:
        try:
            data = self._source.read(size)
        except OSError as error:
            raise OfflineError(f"the registry stopped while sending {self._path}: {error}") from error
        self._count += len(data)
        self._progress.show(self._count)
        return data


def write_hashed(source: BinaryIO | _Named, path: Path, limit: int) -> tuple[int, str]:
    """Size and sha256 of what came; reading ends one byte above the limit."""
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        while size <= limit and (block := source.read(min(BLOCK, limit - size + 1))):
            size += len(block)
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def write_new(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes, staging: Path) -> None:
    """Put `path` in its place in one step; the temporary lies in `staging`, as a bundle's folder holds nothing else."""
    temporary = staging / f"{path.name}.{secrets.token_hex(4)}"
    write_new(temporary, data)
    temporary.replace(path)
    sync_folder(path.parent)


def files_by_hash(folder: Path) -> dict[str, Path]:
    """What an installed version should hold; nothing where it is damaged."""
    try:
        return {entry.sha256: folder / entry.path for entry in read_manifest(folder).files}
    except (CvaError, OSError):
        return {}
