"""Put a registered version into a folder that devices read as it is: verified, released, signed, never changed again.

    TO/NAME/VERSION/   the bundle with release.json and release.sig
    TO/registry.json   written last and at one moment: what it does not name does not exist
    TO/.incoming/      staging; swept under the lock

Publishing the same version again changes nothing but the champion and the signatures of further keys. Knows nothing
about where the folder is served from.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from scoring.bundle import MANIFEST, Manifest, load_bundle, parse_manifest, verify_files
from scoring.edge.registry import SCHEMA, Index, LocalRegistry, Resolved
from scoring.edge.result import Published
from scoring.edge.signing import (
    MAX_BYTES,
    RELEASE,
    SIGNATURES,
    Release,
    Signature,
    Signer,
    is_signed_by,
    parse_release,
    parse_signatures,
    signature_bytes,
)
from scoring.edge.store import sync_tree, take_lock
from scoring.edge.transfer import replace_file, write_hashed, write_new
from scoring.edge.trust import check_release
from scoring.errors import ConflictError, CvaError, IntegrityError, StorageError
from scoring.files import sync_folder, write_json

INDEX, INCOMING, LOCK = "registry.json", ".incoming", ".lock"


def publish(
    source: LocalRegistry, name: str, version: str, to: Path, *, signer: Signer | None, dry_run: bool = False
) -> Published:
    """Copy `name` `version` of `source` into `to`; without a signer the release is not signed.

    Raises: NotFoundError, IntegrityError (it differs from its manifest), ConflictError (that version is another bundle
    already), LockedError, StorageError.
    """
    target = source.resolve(name, version)
    bundle = source.folder(name, target.version)
    load_bundle(bundle, manifest_sha256=target.manifest_sha256)
    job = _Publish(source, target, bundle, to.absolute(), signer)
    if dry_run:
        return job.plan()
    try:
        with _locked(job.to):
            return job.run()
    except OSError as error:
        raise StorageError(
            f"cannot write {error.filename or to}: {error.strerror}", hint="what was published before stays as it is"
        ) from error


@dataclass(frozen=True)
class _Publish:
    source: LocalRegistry
    target: Resolved
    bundle: Path
    to: Path
    signer: Signer | None

    @property
    def folder(self) -> Path:
        return self.to / self.target.name / str(self.target.version)

    def plan(self) -> Published:
        index = self._index()
        status, champion = self._status(index), self._champion(index)
        return self._result(status, champion, dry_run=True)

    def run(self) -> Published:
        index = self._index()
        status, champion = self._status(index), self._champion(index)
        if status == "published":
            self._put()
        elif status == "signed":
            self._sign()
        if status in ("published", "champion") or index.champion(self.target.name) != champion:
            self._name(index, champion)
        return self._result(status, champion)

    def _result(self, status: str, champion: int | None, *, dry_run: bool = False) -> Published:
        keyids = tuple(each.keyid for each in _signatures(self.folder))
        if dry_run and self.signer is not None and status in ("published", "signed"):
            keyids = tuple(dict.fromkeys((*keyids, self.signer.keyid)))
        return Published(status, self.target.name, self.target.version, champion, keyids, self.folder, dry_run)

    def _index(self) -> Index:
        path = self.to / INDEX
        return Index.parse(path.read_bytes(), str(self.to)) if path.exists() else Index({}, str(self.to))

    def _status(self, index: Index) -> str:
        """Raises: ConflictError, IntegrityError."""
        if str(self.target.version) not in index.models.get(self.target.name, {}).get("versions", {}):
            return "published"
        there = index.entry(self.target.name, self.target.version)["manifest_sha256"]
        if there != self.target.manifest_sha256:
            raise ConflictError(
                f"{self.target.name}:{self.target.version} is published with another manifest: expected"
                f" {self.target.manifest_sha256}, found {there}",
                hint="a version never changes; register the model again and publish the new version",
            )
        self._check(self.folder)
        if not self._signed():
            return "signed"
        return "unchanged" if index.champion(self.target.name) == self._champion(index) else "champion"

    def _champion(self, index: Index) -> int | None:
        """The source's, where it is published here; else the one that was."""
        chosen = self.source.index().champion(self.target.name)
        there = index.models.get(self.target.name, {}).get("versions", {})
        if chosen == self.target.version or str(chosen) in there:
            return chosen
        return index.champion(self.target.name)

    def _put(self) -> None:
        """The version under its name; one that a crash left there without naming it is taken as it is."""
        if self.folder.exists():
            self._adopt()
            return
        staged = self.to / INCOMING / f"{self.target.name}.{self.target.version}.{secrets.token_hex(4)}"
        staged.mkdir()
        manifest = _copy_bundle(self.bundle, staged, self.target.manifest_sha256)
        release = _released(self.target)
        write_new(staged / RELEASE, release)
        if self.signer is not None:
            write_new(staged / SIGNATURES, signature_bytes([self.signer.sign(release)]))
        verify_files(staged, manifest)
        sync_tree(staged)
        self.folder.parent.mkdir(exist_ok=True)
        sync_folder(self.to)
        staged.rename(self.folder)
        sync_folder(self.folder.parent)

    def _adopt(self) -> None:
        try:
            self._check(self.folder)
        except (CvaError, OSError) as error:
            raise ConflictError(
                f"{self.folder} is there, is not in {INDEX}, and is not this version: {error}",
                hint="move it away and publish again",
            ) from error
        if not self._signed():
            self._sign()

    def _signed(self) -> bool:
        """By this signer, or nobody is asked to."""
        if self.signer is None:
            return True
        release, public = _read(self.folder / RELEASE), self.signer.public
        return any(is_signed_by(public, release, each) for each in _signatures(self.folder))

    def _sign(self) -> None:
        """One more signature, over the release as it is."""
        assert self.signer is not None
        release = _read(self.folder / RELEASE)
        others = [each for each in _signatures(self.folder) if each.keyid != self.signer.keyid]
        data = signature_bytes([*others, self.signer.sign(release)])
        replace_file(self.folder / SIGNATURES, data, self.to / INCOMING)

    def _name(self, index: Index, champion: int | None) -> None:
        """registry.json, the one write that makes the version real; the entry is the source's own."""
        model = index.models.get(self.target.name, {"versions": {}})
        entry = self.source.index().entry(self.target.name, self.target.version)
        path = f"{self.target.name}/{self.target.version}"
        versions = {**model["versions"], str(self.target.version): {**entry, "path": path}}
        models = {**index.models, self.target.name: {**model, "champion": champion, "versions": versions}}
        write_json(self.to / INDEX, {"schema": SCHEMA, "models": models})

    def _check(self, folder: Path) -> None:
        """What is published there is this bundle with this release. Raises: IntegrityError, OSError."""
        load_bundle(folder, manifest_sha256=self.target.manifest_sha256)
        release = parse_release(_read(folder / RELEASE))
        check_release(release, self.target.name, self.target.version, self.target.manifest_sha256)


def _copy_bundle(bundle: Path, staged: Path, manifest_sha256: str) -> Manifest:
    """Every listed file, hashed while it is copied, and the manifest's own bytes. Raises: IntegrityError."""
    data = (bundle / MANIFEST).read_bytes()
    manifest = parse_manifest(data, manifest_sha256)
    for entry in manifest.files:
        path = staged / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with (bundle / entry.path).open("rb") as file:
            if write_hashed(file, path, entry.bytes) != (entry.bytes, entry.sha256):
                raise IntegrityError(f"{bundle / entry.path} changed while it was copied", hint="publish it again")
    write_new(staged / MANIFEST, data)
    return manifest


def _signatures(folder: Path) -> tuple[Signature, ...]:
    path = folder / SIGNATURES
    return parse_signatures(_read(path)) if path.is_file() else ()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise IntegrityError(f"{path} is not there", hint="move the folder away and publish again") from error


def _released(target: Resolved) -> bytes:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Release(target.name, target.version, target.manifest_sha256, now).to_bytes()


@contextlib.contextmanager
def _locked(to: Path) -> Iterator[None]:
    """One publisher at a time; what a killed one left is swept. Raises: LockedError."""
    (to / INCOMING).mkdir(parents=True, exist_ok=True)
    with (to / LOCK).open("ab") as file:
        take_lock(file, f"somebody else publishes into {to}")
        for left in (to / INCOMING).iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        for left in to.glob(".*.tmp"):
            left.unlink()
        yield
