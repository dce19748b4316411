"""A registry that is plain files on a web server or in a blob container: `registry.json`, `NAME/VERSION/<files>`.

Written by `publish-static`; read with one container's read credential and no SDK. Knows nothing about HTTP (`web.py`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from scoring.bundle import MANIFEST, MAX_MANIFEST_BYTES
from scoring.edge.credential import Credential
from scoring.edge.registry import MAX_INDEX_BYTES, Index, Resolved, check_model_name, read_up_to
from scoring.edge.web import WebFolder
from scoring.errors import IntegrityError, NotFoundError, OfflineError
from scoring.paths import check_path

INDEX = "registry.json"


class Folder(Protocol):
    """Raises: NotFoundError, OfflineError, IntegrityError."""

    @property
    def root(self) -> str: ...
    def open(self, path: str) -> BinaryIO: ...
    def open_changed(self, path: str, tag: str) -> tuple[BinaryIO, str] | None: ...


@dataclass(frozen=True)
class StaticRegistry:
    """Whoever asks again and again, as a server does, is sent the index only when it has changed."""

    folder: Folder
    _last: list[tuple[str, Index]] = field(default_factory=list, repr=False, compare=False)  # its tag; one or none

    @staticmethod
    def at(url: str) -> StaticRegistry:
        """The credential comes from the environment. Raises: UsageError."""
        return StaticRegistry(WebFolder(url, Credential.of(os.environ)))

    def resolve(self, name: str, version: str) -> Resolved:
        return self._index().resolve(name, version)

    def manifest(self, name: str, version: int) -> bytes:
        with self.fetch(name, version, MANIFEST) as file:
            return _all(file, MAX_MANIFEST_BYTES, MANIFEST)

    def fetch(self, name: str, version: int, path: str) -> BinaryIO:
        check_path(path)
        return self.folder.open(f"{check_model_name(name)}/{version}/{path}")

    def _index(self) -> Index:
        try:
            changed = self.folder.open_changed(INDEX, self._last[0][0] if self._last else "")
        except NotFoundError as error:
            raise OfflineError(
                f"there is no registry at {self.folder.root}: {error.message}", hint=error.hint
            ) from error
        if changed is None:
            return self._last[0][1]
        file, tag = changed
        with file:
            index = Index.parse(_all(file, MAX_INDEX_BYTES, INDEX), self.folder.root)
        self._last[:] = [(tag, index)] if tag else []
        return index


def _all(file: BinaryIO, limit: int, what: str) -> bytes:
    """The whole of it. Raises: IntegrityError where it is longer than the limit."""
    data = read_up_to(file, limit)
    if len(data) > limit:
        raise IntegrityError(f"expected {what} of at most {limit} bytes, found more", hint="see who publishes")
    return data
