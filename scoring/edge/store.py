"""Versions of one model on a device: staged, renamed in, swapped; a crash at any point leaves a usable current version.

    <dest>/<name>/versions/7/       immutable once it has this name
                  incoming/8.4f2c/  staging and what is being deleted; swept under the lock
                  current           symlink to versions/7 (a file CURRENT where links cannot be made); the truth
                  state.json        what was done last, what was rejected; rebuilt from `current` where they differ
                  .lock

Knows nothing about registries, hashes or self-tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from scoring.errors import LockedError, StorageError
from scoring.files import sync_folder, write_bytes, write_json

SCHEMA = 1
DIGITS = 20  # of a version; Python makes no number of thousands


@dataclass(frozen=True)
class State:
    """`rejected` maps a manifest's sha256 to why it failed here; `known` an installed version to its manifest's;
    `postponed` a manifest's sha256 to how often it could not be tried, why, and when it may be again (`backoff.py`).
    """

    current: int | None = None
    manifest_sha256: str = ""
    previous: int | None = None
    updated_at: str = ""
    rejected: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    postponed: Mapping[str, Any] = field(default_factory=dict)


class Store:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.versions = root / "versions"
        self.incoming = root / "incoming"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One puller at a time; the system frees it when a process dies. Raises: LockedError, StorageError."""
        for folder in (self.root, self.versions, self.incoming):
            _make_folder(folder)
        with (self.root / ".lock").open("ab") as file:
            take_lock(file, f"another pull into {self.root} is running")
            yield

    def recover(self) -> None:
        """Sweep what a crash left. Call under the lock."""
        for left in self.incoming.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        for left in self.root.glob(".*.tmp"):
            left.unlink()

    def current(self) -> int | None:
        """The version in use; None where there is none or its folder is gone."""
        link, plain = self.root / "current", self.root / "CURRENT"
        try:
            number = link.readlink().name if link.is_symlink() else plain.read_text(errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return int(number) if _is_version(number) and self.folder(int(number)).is_dir() else None

    def folder(self, version: int) -> Path:
        return self.versions / str(version)

    def stage(self, version: int) -> Path:
        """A new, empty folder to fill."""
        folder = self.incoming / f"{version}.{secrets.token_hex(4)}"
        folder.mkdir()
        return folder

    def discard(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def commit(self, staged: Path, version: int) -> Path:
        """Give a filled and verified folder its name; a damaged folder of that name makes room first."""
        sync_tree(staged)
        target = self.folder(version)
        if target.exists():
            target.rename(self.incoming / f"{version}.old.{secrets.token_hex(4)}")
        staged.rename(target)
        sync_folder(self.versions)
        return target

    def swap(self, version: int | None) -> None:
        """`current` names this version, or none, from one moment to the next."""
        if version is None:
            for name in ("current", "CURRENT"):
                (self.root / name).unlink(missing_ok=True)
            sync_folder(self.root)
            return
        try:
            temporary = self.incoming / f"current.{secrets.token_hex(4)}"
            temporary.symlink_to(Path("versions") / str(version))
            temporary.replace(self.root / "current")
        except (NotImplementedError, PermissionError):  # FAT cards, Windows without the right to make links
            write_bytes(self.root / "CURRENT", f"{version}\n".encode())
        sync_folder(self.root)

    def keep(self, versions: set[int]) -> None:
        """Remove all others: out of `versions/` by one rename each, then deleted."""
        for folder in self.versions.iterdir():
            if not _is_version(folder.name) or int(folder.name) not in versions:
                going = self.incoming / f"{folder.name}.old.{secrets.token_hex(4)}"
                folder.rename(going)
                self.discard(going)

    def state(self) -> State:
        """What was written last; empty where it is missing or unreadable, as `current` is the truth."""
        try:
            value = json.loads((self.root / "state.json").read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return State()
        return _parse_state(value)

    def write_state(self, state: State) -> None:
        values: dict[str, Any] = {name: getattr(state, name) for name in State.__dataclass_fields__}
        maps = {name: dict(value) for name, value in values.items() if isinstance(value, Mapping)}
        write_json(self.root / "state.json", {"schema": SCHEMA, **values, **maps})


def _parse_state(value: object) -> State:
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        return State()
    kinds: dict[str, type] = {"manifest_sha256": str, "updated_at": str}
    kinds |= dict.fromkeys(("rejected", "known", "postponed"), dict)
    known = {
        name: value[name] for name in State.__dataclass_fields__ if isinstance(value.get(name), kinds.get(name, int))
    }
    known = {name: each for name, each in known.items() if name in kinds or _is_version(str(each))}  # nor True
    state = State(**known)
    names = {key: digest for key, digest in state.known.items() if _is_version(key) and isinstance(digest, str)}
    state = replace(state, known=names)
    if state.current is not None and state.manifest_sha256:  # as written before versions were remembered
        return replace(state, known={str(state.current): state.manifest_sha256, **state.known})
    return state


def _is_version(text: str) -> bool:
    return text.isdecimal() and len(text) <= DIGITS


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"expected a folder, found a file: {error.filename}", hint="give another --to") from error


def sync_tree(folder: Path) -> None:
    """Folders, deepest first; the files were synced when they were written."""
    for root, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(root))


def take_lock(file: BinaryIO, taken: str) -> None:
    """Or say `taken` at once; the system frees it with the process. Raises: LockedError."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise LockedError(taken, hint="try again when it has ended") from error
