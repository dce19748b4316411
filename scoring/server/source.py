"""Where the server's model comes from: the workspace's registry or a bundle's folder, as one exact, verified model.

A source says cheaply what is there now (`look`), and finds the exact folder; `load` verifies and opens it. Pulling
from a registry elsewhere is in `pulled.py`. Knows nothing about HTTP, queues or when to look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from scoring.bundle import MANIFEST, LoadedBundle, load_bundle
from scoring.edge.registry import LocalRegistry, check_model_name
from scoring.edge.signing import RELEASE, parse_release
from scoring.edge.store import Store
from scoring.errors import CvaError, IntegrityError, NotFoundError, StorageError, UsageError
from scoring.server.service import ServedModel


@dataclass(frozen=True)
class Candidate:
    """An exact model on this machine's disk: its manifest has this hash, and nothing else will do."""

    name: str
    version: str  # "" where nobody gave it one
    folder: Path
    manifest_sha256: str
    pinned: bool = False  # a registry of this machine vouches for the hash; else pinned keys do, if there are any


class Source(Protocol):
    """Raises, from `look` and `find`: CvaError (nothing there, unreadable, offline with nothing kept)."""

    @property
    def patient(self) -> bool:
        """The server starts although there is no model yet, and tries again."""
        ...

    def look(self) -> Hashable:
        """Cheap: equal values mean that `find` would give the same."""
        ...

    def find(self) -> Candidate: ...

    def refuse(self, candidate: Candidate, why: str) -> None:
        """It did not go live; a source that chose it itself returns to the one before."""
        ...


@dataclass(frozen=True)
class RegisteredModel:
    """A model of the local workspace, read in place: a number never changes, a word and a bare name are followed."""

    registry: LocalRegistry
    name: str
    version: str  # a number, champion, best, latest, or "" (the champion, else the latest)
    patient: bool = False

    def look(self) -> Hashable:
        return None if self.version.isdigit() else self.find()

    def find(self) -> Candidate:
        exact = self.registry.resolve(self.name, self.version)
        folder = self.registry.folder(self.name, exact.version)
        return Candidate(self.name, str(exact.version), folder, exact.manifest_sha256, pinned=True)

    def refuse(self, candidate: Candidate, why: str) -> None:
        """The registry is the trainers': it is not this server's to change."""


@dataclass(frozen=True)
class BundleFolder:
    """A bundle's folder, or what a pull keeps (`DEST/NAME/current`, or `DEST/NAME` where there are no links)."""

    path: Path
    patient: bool = False

    def look(self) -> Hashable:
        folder = self._folder()
        return folder, _stamp(folder / MANIFEST), _stamp(folder / RELEASE)

    def find(self) -> Candidate:
        folder = self._folder()
        data = _read(folder / MANIFEST)
        digest = hashlib.sha256(data).hexdigest()
        manifest = load_bundle(folder, verify=False, manifest_sha256=digest).manifest
        version = released_version(folder, digest) or (folder.name if folder.name.isdigit() else "")
        return Candidate(_checked(manifest.name), version, folder, digest)

    def refuse(self, candidate: Candidate, why: str) -> None:
        """Whoever swaps the folder swaps it back."""

    def _folder(self) -> Path:
        """The exact folder, so that a swap in between cannot mix two versions."""
        try:
            if not (self.path / MANIFEST).exists():
                root = self.path.parent if self.path.name == "current" else self.path
                version = Store(root).current()
                return self.path if version is None else Store(root).folder(version).resolve(strict=True)
            return self.path.resolve(strict=True)
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {error.strerror}", hint="check who owns it") from error


def load(source: Source, *, threads: int, provider: str) -> ServedModel:
    """Find, verify, open. Where a pull removed the folder meanwhile, what it put in its place.

    Raises: CvaError.
    """
    candidate = source.find()
    while True:
        try:
            return open_model(candidate, verify(candidate), threads=threads, provider=provider)
        except CvaError:
            again = source.find()
            if again == candidate:
                raise
            candidate = again


def verify(candidate: Candidate) -> LoadedBundle:
    """The manifest is the one that was pinned, every file is as it says, and this machine can run it.

    Raises: NotFoundError, IntegrityError, IncompatibleError, StorageError.
    """
    from scoring.compat import check_compatible
    from scoring.edge.trust import pinned_release

    try:
        if not candidate.pinned:
            pinned_release(candidate.folder)
        bundle = load_bundle(candidate.folder, manifest_sha256=candidate.manifest_sha256)
    except OSError as error:  # removed or unreadable while it was read
        raise StorageError(f"cannot read {error.filename}: {error.strerror}", hint="pull the model again") from error
    check_compatible(bundle.manifest)
    return bundle


def open_model(candidate: Candidate, bundle: LoadedBundle, *, threads: int, provider: str) -> ServedModel:
    """All is in memory afterwards: the folder may go. Raises: IntegrityError, IncompatibleError, StorageError."""
    from scoring.detector import Detector

    try:
        detector = Detector.load(bundle, threads=threads, provider=provider)
    except OSError as error:
        raise StorageError(f"cannot read {error.filename}: {error.strerror}", hint="pull the model again") from error
    return ServedModel(
        name=candidate.name,
        version=candidate.version,
        detector=detector,
        manifest_sha256=candidate.manifest_sha256,
        loaded_at=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )


def released_version(folder: Path, digest: str) -> str:
    """The version that `release.json` binds to this manifest; "" where there is none. Signatures are the pull's matter.

    Raises: IntegrityError where it speaks of another manifest.
    """
    path = folder / RELEASE
    if not path.is_file():
        return ""
    release = parse_release(_read(path))
    if release.manifest_sha256 != digest:
        raise IntegrityError(
            f"{path} is for a manifest with sha256 {release.manifest_sha256!r}, found {digest}",
            hint="pull the model again",
        )
    return str(release.version)


def _checked(name: str) -> str:
    """It becomes a header of every answer. Raises: IntegrityError."""
    try:
        return check_model_name(name)
    except UsageError as error:
        raise IntegrityError(
            f"the manifest's name is not one: {error.message}", hint="make the bundle again"
        ) from error


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}", hint="check who owns it") from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path.parent} holds no {path.name}", hint="give a bundle's folder") from error
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}", hint="check who owns it") from error
