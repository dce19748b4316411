"""Which version of a model a bundle is: what `release.json` beside the manifest binds it to. Checks no signature."""

from __future__ import annotations

from pathlib import Path

from scoring.edge.signing import MAX_BYTES, RELEASE, Release, parse_release
from scoring.errors import IntegrityError
from scoring.files import sha256_of
from scoring.manifest import MANIFEST


def released_version(folder: Path) -> int | None:
    """None for a bundle that no registry has given a version.

    Raises: IntegrityError for a file that is no release, or that speaks of another manifest.
    """
    if not (folder / RELEASE).is_file():
        return None
    release = read_release(folder, sha256_of(folder / MANIFEST))
    return None if release is None else release.version


def read_release(folder: Path, manifest_sha256: str) -> Release | None:
    """The release of the manifest with this hash; None where there is none. Raises: IntegrityError."""
    path = folder / RELEASE
    try:
        with path.open("rb") as file:
            release = parse_release(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return None
    if release.manifest_sha256 != manifest_sha256:
        raise IntegrityError(
            f"{path} is for a manifest with sha256 {release.manifest_sha256}, found {manifest_sha256}",
            hint="do not use it: one of the two was changed; pull the model again",
        )
    return release
