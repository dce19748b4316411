"""Which version of a model a bundle is: what `release.json` beside the manifest binds it to. Checks no signature."""

from __future__ import annotations

import json
from pathlib import Path

from scoring.bundle import MANIFEST
from scoring.errors import IntegrityError
from scoring.files import sha256_of

RELEASE = "release.json"
MAX_BYTES = 1 << 16


def released_version(folder: Path) -> int | None:
    """None for a bundle that no registry has given a version.

    Raises: IntegrityError for a file that is no release, or that speaks of another manifest.
    """
    path = folder / RELEASE
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(MAX_BYTES))
        version, digest = int(value["version"]), value["manifest_sha256"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{path} is not a release: {error}", hint="pull the model again") from error
    found = sha256_of(folder / MANIFEST)
    if digest != found:
        raise IntegrityError(
            f"{path} is for a manifest with sha256 {digest!r}, found {found}", hint="pull the model again"
        )
    return version
