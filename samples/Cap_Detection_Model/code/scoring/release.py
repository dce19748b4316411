"""Which version of a model a bundle is: what `release.json` beside the manifest binds it to. Checks no signature."""

from __future__ import annotations

from pathlib import Path

from scoring.bundle import MANIFEST
from scoring.edge.signing import MAX_BYTES, RELEASE, parse_release
from scoring.errors import IntegrityError
from scoring.files import sha256_of


def released_version(folder: Path) -> int | None:
    """None for a bundle that no registry has given a version.

    Raises: IntegrityError for a file that is no release, or that speaks of another manifest.
    """
    path = folder / RELEASE
    try:
        with path.open("rb") as file:
            release = parse_release(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return None
    found = sha256_of(folder / MANIFEST)
    if release.manifest_sha256 != found:
        raise IntegrityError(
            f"{path} is for a manifest with sha256 {release.manifest_sha256}, found {found}",
            hint="pull the model again",
        )
    return release.version
