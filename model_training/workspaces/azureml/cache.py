"""Where downloads of an Azure workspace lie on this machine. Safe to delete: whatever is missing is fetched again.

    images/ab/<sha256>.jpg      by content          blobs/<datastore>/ab/<hash of the path>.jpg   by place
    datasets/<name>/<version>/  as locally          models/<name>/<version>/   bundles            runs/<id>/

Names that come from the service never make a path outside of this folder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from model_training.workspaces.image_store import ImageStore
from scoring.errors import IntegrityError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}")


@dataclass(frozen=True)
class Cache:
    root: Path

    @property
    def images(self) -> ImageStore:
        return ImageStore(self.root / "images")

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def incoming(self) -> Path:
        """What is being made or fetched."""
        return self.root / "incoming"

    def blob(self, datastore: str, path: str) -> Path:
        """Blob paths may be longer, and mix files and folders more freely, than a file system allows."""
        digest = hashlib.sha256(path.encode()).hexdigest()
        ending = Path(path).suffix
        kept = ending.lower() if _ENDING.fullmatch(ending) else ""
        return self.root / "blobs" / _plain(datastore) / digest[:2] / f"{digest[2:34]}{kept}"

    def dataset(self, name: str, version: int) -> Path:
        return self.root / "datasets" / _plain(name) / str(version)

    def model(self, name: str, version: int) -> Path:
        return self.root / "models" / _plain(name) / str(version)

    def run(self, run_id: str) -> Path:
        return self.runs / _plain(run_id)


def _plain(name: str) -> str:
    """Raises: IntegrityError for what is no plain name of a folder."""
    if not _NAME.fullmatch(name):
        raise IntegrityError(f"expected a plain name, found {name!r}", hint="rename it in the workspace")
    return name
