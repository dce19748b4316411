"""Images by their content: `images/ab/<sha256>.<ext>`. Knows nothing about labels or datasets."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from model_training.workspaces.files import PARTIAL
from scoring.errors import IntegrityError
from scoring.files import sha256_of


@dataclass(frozen=True)
class ImageStore:
    root: Path  # the workspace's images folder

    def path(self, sha256: str, extension: str) -> Path:
        return self.root / sha256[:2] / f"{sha256}.{extension}"

    def add(self, source: Path, sha256: str, extension: str) -> Path:
        """Hard-link the file where that is possible, else copy it; a file that is there already stays.

        Raises: IntegrityError when the file is no longer what was hashed.
        """
        target = self.path(sha256, extension)
        if target.is_file():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{PARTIAL}{sha256[:16]}-{uuid.uuid4().hex[:8]}")
        try:
            if not _link(source, partial):
                _copy(source, partial, sha256)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def __iter__(self) -> Iterator[Path]:
        return (path for path in sorted(self.root.glob("??/*")) if not path.name.startswith("."))

    def unreferenced(self, used: Collection[str]) -> list[Path]:
        """Images whose content hash is not in `used`."""
        return [path for path in self if path.stem not in used]

    def damaged(self) -> list[Path]:
        """Images whose bytes are no longer what their name says (a hard-linked original was edited in place)."""
        return [path for path in self if sha256_of(path) != path.stem]


def _link(source: Path, target: Path) -> bool:
    """False where a link cannot be made (another file system, a foreign owner, a symbolic link)."""
    if source.is_symlink():
        return False
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _copy(source: Path, target: Path, sha256: str) -> None:
    data = source.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IntegrityError(f"{source}: changed while it was imported", hint="run the same command again")
    with target.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
