"""The bundle: the folder that is registered, pulled and served.

Writes its manifest, checks every byte against it, loads it. Knows nothing about registries, ONNX
or how the files came to be.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.errors import IntegrityError, NotFoundError
from scoring.files import sha256_of, write_json
from scoring.manifest import MANIFEST, FileEntry, Json, Manifest, Postprocess, Preprocess
from scoring.paths import check_paths, is_pickle
from scoring.release import read_release

__all__ = [
    "MANIFEST",
    "FileEntry",
    "LoadedBundle",
    "Manifest",
    "Postprocess",
    "Preprocess",
    "load_bundle",
    "parse_manifest",
    "read_manifest",
    "unlisted_files",
    "verify_files",
    "write_manifest",
]

MODEL = "model.onnx"
NOT_LISTED = frozenset({MANIFEST, "release.json", "release.sig"})
MAX_MANIFEST_BYTES = 4 << 20


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle whose manifest was parsed and, unless told otherwise, whose files were verified."""

    path: Path
    manifest: Manifest

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.labels

    @property
    def preprocess(self) -> Preprocess:
        return self.manifest.preprocess

    @property
    def postprocess(self) -> Postprocess:
        return self.manifest.postprocess

    @property
    def model(self) -> Path:
        return self.path / MODEL

    @property
    def model_sha256(self) -> str:
        """As the manifest says; "" while a bundle is being made and lists nothing yet."""
        return next((entry.sha256 for entry in self.manifest.files if entry.path == MODEL), "")


def load_bundle(path: Path | str, *, verify: bool = True, manifest_sha256: str = "") -> LoadedBundle:
    """Read a bundle folder; with `verify` every file is hashed. A registry's `manifest_sha256` also pins the manifest.

    A `release.json` beside the manifest must be of exactly this one; who signed it is `scoring.edge.trust`'s matter.

    Raises: NotFoundError, IntegrityError, IncompatibleError.
    """
    folder = Path(path)
    data = _read_manifest(folder)
    manifest = parse_manifest(data, manifest_sha256)
    read_release(folder, hashlib.sha256(data).hexdigest())
    if not any(entry.path == MODEL for entry in manifest.files):
        raise IntegrityError(f"the manifest of {folder} lists no {MODEL}", hint="make the bundle again")
    if verify:
        verify_files(folder, manifest)
    return LoadedBundle(folder, manifest)


def read_manifest(folder: Path, manifest_sha256: str = "") -> Manifest:
    """Raises: NotFoundError, IntegrityError, IncompatibleError."""
    return parse_manifest(_read_manifest(folder), manifest_sha256)


def _read_manifest(folder: Path) -> bytes:
    if not folder.is_dir():
        raise NotFoundError(f"there is no bundle folder {folder}", hint="give a folder that holds manifest.json")
    try:
        return (folder / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"{folder} holds no {MANIFEST}, so it is not a bundle", hint="check the path") from error


def parse_manifest(data: bytes, manifest_sha256: str = "") -> Manifest:
    """Raises: IntegrityError, IncompatibleError."""
    digest = hashlib.sha256(data).hexdigest()
    if manifest_sha256 and digest != manifest_sha256:
        raise IntegrityError(
            f"expected a manifest with sha256 {manifest_sha256}, found {digest}",
            hint="do not use it; pull or register the model again",
        )
    if len(data) > MAX_MANIFEST_BYTES:
        raise IntegrityError(f"expected a manifest of at most {MAX_MANIFEST_BYTES} bytes, found {len(data)}")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{MANIFEST} is not JSON: {error}", hint="make or pull the bundle again") from error
    return Manifest.parse(value)


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> Json:
    """Write `manifest.json` for the files that lie in `path`, "files" filled in; returns what was written.

    Raises: IntegrityError for a file that a bundle may not hold; what `load_bundle` refuses is refused here.
    """
    files = [
        {"path": name, "bytes": (path / name).stat().st_size, "sha256": sha256_of(path / name)}
        for name in sorted(_listing(path))
    ]
    full = {**manifest, "files": files}
    Manifest.parse(full)
    try:
        write_json(path / MANIFEST, full)
    except ValueError as error:
        raise IntegrityError(
            f"the manifest cannot be written as JSON: {error}", hint="undefined numbers are null"
        ) from error
    return full


def verify_files(path: Path, manifest: Manifest | Mapping[str, Any]) -> None:
    """Every listed file is there with its size and hash, and nothing else is.

    Raises: IntegrityError that lists missing, extra and changed, sorted.
    """
    parsed = manifest if isinstance(manifest, Manifest) else Manifest.parse(dict(manifest))
    listed = {entry.path: entry for entry in parsed.files}
    found = _listing(path)
    changed = sorted(
        name
        for name in listed.keys() & found.keys()
        if found[name] != listed[name].bytes or not _same(path, listed[name])
    )
    missing, extra = sorted(listed.keys() - found.keys()), sorted(found.keys() - listed.keys())
    if missing or extra or changed:
        kinds = {"missing": missing, "extra": extra, "changed": changed}
        words = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)
        raise IntegrityError(
            f"{path} differs from its manifest: {words}",
            hint="do not use it; pull or register the model again",
        )
    _refuse_pickles(path, parsed)


def unlisted_files(path: Path, manifest: Manifest) -> list[str]:
    """Files of the folder that the manifest does not list, sorted. Raises: IntegrityError for a link or unsafe name."""
    return sorted(_listing(path).keys() - {entry.path for entry in manifest.files})


def _refuse_pickles(path: Path, manifest: Manifest) -> None:
    """By content, whatever it is called. Raises: IntegrityError."""
    for entry in manifest.files:
        with (path / entry.path).open("rb") as file:
            head = file.read(9)
            file.seek(-min(1, entry.bytes), os.SEEK_END)
            if is_pickle(head, file.read()):
                raise IntegrityError(
                    f"{path / entry.path} is a pickle or an archive, which a bundle may not hold",
                    hint="do not use this bundle; ask where it came from",
                )


def _same(path: Path, entry: FileEntry) -> bool:
    return sha256_of(path / entry.path) == entry.sha256


def _listing(folder: Path) -> dict[str, int]:
    """Relative path -> bytes of all files but those of `NOT_LISTED`; links and special files are refused."""
    found: dict[str, int] = {}
    for root, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            full = Path(root) / name
            status = full.lstat()
            relative = full.relative_to(folder).as_posix()
            if stat.S_ISREG(status.st_mode):
                found[relative] = status.st_size
            elif not stat.S_ISDIR(status.st_mode):
                raise IntegrityError(f"{full} is a link or a special file, which a bundle may not hold")
    for name in NOT_LISTED:
        found.pop(name, None)
    check_paths(found.items())
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON; undefined numbers are null")


def _no_twins(pairs: list[tuple[str, Any]]) -> Json:
    """JSON with a key twice means different things to different readers."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value
