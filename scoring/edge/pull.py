"""Bring one exact version of a model onto this device: verified, self-tested, swapped in at one moment.

resolve -> compare with current -> manifest -> compatible, disk -> each file hashed while it is written -> listing
equals manifest -> self-test -> rename -> swap -> state.json -> keep two. Knows nothing about which registry it reads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

from scoring.bundle import MANIFEST, FileEntry, Manifest, parse_manifest, verify_files
from scoring.compat import check_compatible
from scoring.edge.registry import Registry, Resolved, check_model_name, check_version
from scoring.edge.selftest import self_test
from scoring.edge.store import State, Store, free_bytes
from scoring.errors import (
    CvaError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    SelfTestError,
    StorageError,
    UsageError,
)

SPARE_BYTES = 64 << 20  # what is left free beside the files themselves
EXIT_OFFLINE = 3


@dataclass(frozen=True)
class PullResult:
    """`status`: updated, current, or offline (the old version goes on; `message` says why)."""

    status: str
    name: str
    version: int
    path: Path
    previous: int | None
    message: str = ""

    @property
    def exit_code(self) -> int:
        return EXIT_OFFLINE if self.status == "offline" else 0

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "model": self.name,
            "version": self.version,
            "previous": self.previous,
            "message": self.message,
            "paths": {"model": str(self.path)},
        }


def pull(
    registry: Registry,
    name: str,
    version: str,
    dest: Path,
    *,
    allow_downgrade: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> PullResult:
    """Make `version` (latest, best, champion or a number) of `name` the current one in `dest`/`name`.

    Being offline is no error while a version is installed.

    Raises: NotFoundError (1: nothing installed and nothing obtainable), StorageError (1), UsageError (2),
    IntegrityError (4), SelfTestError (5), IncompatibleError (6), LockedError (75).
    """
    word = check_version(version)
    store = Store(dest.absolute() / check_model_name(name))
    try:
        if store.current() is None:
            registry.resolve(name, word)  # a name that does not exist makes no folders
        with store.lock():
            store.recover()
            return _pull(_Pull(registry, store, name, word, store.current(), say), allow_downgrade)
    except OfflineError as error:
        return _offline(store, name, error)
    except OSError as error:
        raise StorageError(
            f"cannot write {error.filename or store.root}: {error.strerror}",
            hint="the version in use stays; see the disk",
        ) from error


@dataclass(frozen=True)
class _Pull:
    registry: Registry
    store: Store
    name: str
    word: str
    current: int | None
    say: Callable[[str], None]


def _offline(store: Store, name: str, error: OfflineError) -> PullResult:
    current = store.current()
    if current is None:
        raise NotFoundError(f"nothing is installed, and the registry: {error.message}", hint=error.hint) from error
    return PullResult("offline", name, current, store.folder(current), None, error.message)


def _pull(job: _Pull, allow_downgrade: bool) -> PullResult:
    target = job.registry.resolve(job.name, job.word)
    if job.current is not None and target.version < job.current and not allow_downgrade:
        raise UsageError(
            f"{job.name} {job.word} is version {target.version}, older than {job.current}, which is installed",
            hint="add --allow-downgrade if that is meant",
        )
    if job.current == target.version and _intact(job.store.folder(target.version), target):
        _settle(job, target)
        return PullResult("current", job.name, target.version, job.store.folder(target.version), None)
    _refuse_rejected(job, target)
    data = job.registry.manifest(job.name, target.version)
    manifest = parse_manifest(data, target.manifest_sha256)
    check_compatible(manifest)
    if not _intact(job.store.folder(target.version), target):
        _install(job, target, manifest, data)
    job.store.swap(target.version)
    previous = _settle(job, target)
    return PullResult("updated", job.name, target.version, job.store.folder(target.version), previous)


def _install(job: _Pull, target: Resolved, manifest: Manifest, data: bytes) -> None:
    """Everything until the version has its name; a failure leaves no trace but the memory of a rejected bundle."""
    total = sum(entry.bytes for entry in manifest.files) + len(data)
    _check_disk(job.store, total)
    staged = job.store.stage(target.version)
    job.say(f"{target.name}:{target.version}: {len(manifest.files) + 1} files, {total / 1e6:.1f} MB")
    try:
        for entry in manifest.files:
            _fetch(job, target, entry, staged)
        _write(staged / MANIFEST, data)
        verify_files(staged, manifest)
        job.say("self-test on the golden images")
        self_test(staged)
        job.store.commit(staged, target.version)
    except SelfTestError as error:
        state = job.store.state()
        job.store.write_state(replace(state, rejected={**state.rejected, target.manifest_sha256: error.message}))
        raise
    finally:
        job.store.discard(staged)


def _fetch(job: _Pull, target: Resolved, entry: FileEntry, staged: Path) -> None:
    """One file, no longer than declared, hashed as it is written."""
    path = staged / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with job.registry.fetch(job.name, target.version, entry.path) as source, path.open("xb") as file:
        while block := _read(source, entry, min(1 << 20, entry.bytes - size + 1)):
            size += len(block)
            if size > entry.bytes:
                break
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if size != entry.bytes or digest.hexdigest() != entry.sha256:
        raise IntegrityError(
            f"{entry.path} of {target.name}:{target.version} differs from its manifest: expected {entry.bytes} bytes"
            f" with sha256 {entry.sha256}, found {'more' if size > entry.bytes else size}",
            hint="the registry's copy is damaged or was changed; register the model again",
        )


def _read(source: BinaryIO, entry: FileEntry, count: int) -> bytes:
    try:
        return source.read(count)
    except OSError as error:
        raise OfflineError(f"the registry stopped while sending {entry.path}: {error}") from error


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _intact(folder: Path, target: Resolved) -> bool:
    """The version is on this device already and every byte is right."""
    try:
        data = (folder / MANIFEST).read_bytes()
        verify_files(folder, parse_manifest(data, target.manifest_sha256))
    except (OSError, CvaError):
        return False
    return True


def _refuse_rejected(job: _Pull, target: Resolved) -> None:
    """A bundle that failed here is not fetched again and again; asking for it by number tries once more."""
    reason = job.store.state().rejected.get(target.manifest_sha256)
    if reason and not job.word.isdigit():
        raise SelfTestError(
            f"{target.name}:{target.version} was rejected on this machine before: {reason}",
            hint=f"--version {target.version} tries it again",
        )


def _check_disk(store: Store, total: int) -> None:
    free = free_bytes(store.root)
    if free < total + SPARE_BYTES:
        raise StorageError(
            f"expected {total + SPARE_BYTES} bytes free in {store.root}, found {free}",
            hint="free some space; the version in use stays",
        )


def _settle(job: _Pull, target: Resolved) -> int | None:
    """Record what `current` says, then remove all but it and the one before; repeating it changes nothing."""
    before = job.store.state()
    previous = next(
        (
            version
            for version in (job.current, before.current, before.previous)  # the last two after a crash
            if version is not None and version != target.version and job.store.folder(version).is_dir()
        ),
        None,
    )
    rejected = {digest: why for digest, why in before.rejected.items() if digest != target.manifest_sha256}
    after = State(target.version, target.manifest_sha256, previous, before.updated_at, rejected)
    if after != before:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
        job.store.write_state(replace(after, updated_at=now))
    job.store.keep({target.version} | ({previous} if previous is not None else set()))
    return previous
