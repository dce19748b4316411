"""One blob container by the caller's own identity, for both generations of the SDK. Never asks for an account's key.

A blob is whole or absent: a large one is sent in parts that count only when the last is there, and a download is
written beside its place and renamed. Knows nothing of datastores, data sets or models.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from model_training.workspaces.azureml.blob_errors import border
from model_training.workspaces.azureml.service import Container
from model_training.workspaces.files import PARTIAL
from scoring.errors import ConflictError, IntegrityError, StorageError, UsageError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import ContainerClient

PIECE = 1 << 20


class ContainerBlobs:
    """`Blobs` of `service.py` over azure-storage-blob.

    Raises on every call: NotFoundError, UsageError (a path, the login, a missing role), OfflineError,
    UnavailableError; StorageError for this machine's own disk.
    """

    def __init__(self, container: Container, credential: TokenCredential) -> None:
        self.container = container
        self._credential = credential

    @cached_property
    def _client(self) -> ContainerClient:
        from model_training.workspaces.azureml.blob_client import open_container

        return open_container(self.container.url, self._credential)

    def list(self, prefix: str = "") -> Iterator[str]:
        with border(self.container, f"listing {prefix or 'it'}"):
            yield from self._client.list_blob_names(name_starts_with=prefix or None)

    def exists(self, path: str) -> bool:
        with border(self.container, f"looking for {path}"):
            return bool(self._client.get_blob_client(_checked(path)).exists())

    def upload(self, file: Path, path: str, *, overwrite: bool = False) -> None:
        """Raises: ConflictError for a blob that is there, unless it is to be overwritten."""
        with _readable(file) as source:
            digest = hashlib.file_digest(source, "md5").digest()
            source.seek(0)
            self._send(source, path, digest, overwrite=overwrite)

    def write(self, data: bytes, path: str, *, overwrite: bool = False) -> None:
        """As `upload`."""
        self._send(data, path, hashlib.md5(data, usedforsecurity=False).digest(), overwrite=overwrite)

    def read(self, path: str, *, limit: int) -> bytes:
        """Raises: IntegrityError for a blob of more than `limit` bytes, of which no more than a part is fetched."""
        with border(self.container, f"reading {path}"):
            stream = self._client.download_blob(_checked(path))
            if stream.size > limit:
                raise IntegrityError(
                    f"{self.container.url}/{path}: expected at most {limit} bytes, found {stream.size} bytes",
                    hint="look at what lies there: is it the right file?",
                )
            data: bytes = stream.readall()
            self._check(path, stream, len(data), hashlib.md5(data, usedforsecurity=False).digest())
            return data

    def download(self, path: str, file: Path) -> None:
        """Raises: IntegrityError when what came is not what the service says that it holds."""
        with _replacing(file) as target, border(self.container, f"downloading {path}"):
            stream = self._client.download_blob(_checked(path))
            self._check(path, stream, *_copied(stream.chunks(), target))

    def _send(self, data: bytes | BinaryIO, path: str, digest: bytes, *, overwrite: bool) -> None:
        """A retry may find the blob of an attempt whose answer was lost: the same bytes are no conflict then."""
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import ContentSettings

        blob, retries = self._client.get_blob_client(_checked(path)), _Count()
        settings = ContentSettings(content_type="application/octet-stream", content_md5=bytearray(digest))
        with border(self.container, f"uploading {path}"):
            try:
                blob.upload_blob(data, overwrite=overwrite, content_settings=settings, retry_hook=retries)
            except ResourceExistsError as error:
                if not retries.count or blob.get_blob_properties().content_settings.content_md5 != digest:
                    raise ConflictError(
                        f"{self.container.url}/{path} exists", hint="choose another name; nothing was changed"
                    ) from error

    def _check(self, path: str, stream: Any, size: int, digest: bytes) -> None:
        expected = stream.properties.content_settings.content_md5  # of who wrote it; not every blob has one
        if size != stream.size or (expected and bytes(expected) != digest):
            raise IntegrityError(
                f"{self.container.url}/{path}: expected {stream.size} bytes with MD5 {_hex(expected)}, "
                f"received {size} with {digest.hex()}",
                hint="try again; nothing was kept",
            )


class _Count:
    """Counts the retries of one call."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, **_: Any) -> None:
        self.count += 1


def _checked(path: str) -> str:
    """Raises: UsageError for a path that another system would read as another place."""
    parts = path.split("/")
    if "\\" in path or len(path) > 1024 or any(part in ("", ".", "..") for part in parts):
        raise UsageError(f"'{path}' is no name for a blob", hint="names with / between them, such as images/0001.jpg")
    return path


def _copied(pieces: Iterator[bytes], target: BinaryIO) -> tuple[int, bytes]:
    """How many bytes came, and their MD5."""
    size, digest = 0, hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        target.write(piece)
        digest.update(piece)
        size += len(piece)
    return size, digest.digest()


@contextlib.contextmanager
def _replacing(file: Path) -> Iterator[BinaryIO]:
    """A new file beside it that takes its place when the block ends well. Raises: StorageError."""
    partial = file.parent / f"{PARTIAL}{file.name}-{uuid.uuid4().hex[:8]}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb", buffering=PIECE) as target:
            try:
                yield target
                target.flush()
                os.fsync(target.fileno())
                partial.replace(file)
            except BaseException:
                partial.unlink()
                raise
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error}", hint="make room, or choose another place") from error


def _readable(file: Path) -> io.BufferedReader:
    try:
        return file.open("rb")
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error}", hint="check that it is there and may be read") from error


def _hex(digest: Any) -> str:
    return bytes(digest).hex() if digest else "(none stored)"
