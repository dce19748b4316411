"""A blob container from memory, as `Blobs` says: an upload twice is a conflict, unless it may overwrite."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scoring.errors import ConflictError, IntegrityError, NotFoundError


@dataclass
class MemoryBlobs:
    """`data` outlives this object, as a container does its clients; `network` is asked before each call."""

    name: str
    data: dict[str, bytes]
    network: Callable[[str], None]

    def list(self, prefix: str = "") -> Iterator[str]:
        self.network("blobs.list")
        yield from sorted(path for path in self.data if path.startswith(prefix))

    def exists(self, path: str) -> bool:
        self.network("blobs.exists")
        return path in self.data

    def upload(self, file: Path, path: str, *, overwrite: bool = False) -> None:
        self.network("blobs.upload")
        self._put(file.read_bytes(), path, overwrite)

    def write(self, data: bytes, path: str, *, overwrite: bool = False) -> None:
        self.network("blobs.write")
        self._put(data, path, overwrite)

    def read(self, path: str, *, limit: int) -> bytes:
        self.network("blobs.read")
        data = self._get(path)
        if len(data) > limit:
            raise IntegrityError(f"{path}: expected at most {limit} bytes, found {len(data)}")
        return data

    def download(self, path: str, file: Path) -> None:
        self.network("blobs.download")
        data = self._get(path)
        partial = file.with_name(f".{secrets.token_hex(4)}")
        partial.write_bytes(data)
        partial.replace(file)

    def _put(self, data: bytes, path: str, overwrite: bool) -> None:
        assert path and not path.startswith("/") and "\\" not in path and "//" not in path, path
        if path in self.data and not overwrite:
            raise ConflictError(f"{self.name} has {path} already")
        self.data[path] = data

    def _get(self, path: str) -> bytes:
        if path not in self.data:
            raise NotFoundError(f"there is no {path} in {self.name}")
        return self.data[path]
