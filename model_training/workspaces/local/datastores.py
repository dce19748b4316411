"""Named folders of images. Only the name and the folder are kept; there are no credentials to keep.

Knows nothing about what is in the files. A container is mounted by the system, or is the Azure workspace's matter.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from model_training.data.image_folder import header_size
from model_training.data.image_urls import resolve_image
from model_training.data.rows import Row
from model_training.workspaces import files
from model_training.workspaces.base import Datastore
from model_training.workspaces.local.layout import Layout
from model_training.workspaces.names import check_name
from model_training.workspaces.patterns import matches
from scoring.errors import ConflictError, IntegrityError, NotFoundError, StorageError, UsageError


class LocalDatastores:
    def __init__(self, root: Path) -> None:
        self._file = root / "datastores.json"
        self._lock = Layout(root).lock

    def add(self, name: str, root: str) -> Datastore:
        """Name a folder; naming it the same again is no error.

        Raises: UsageError (an address, which may hold credentials), StorageError (no folder), ConflictError (taken).
        """
        check_name(name, "datastore")
        folder = _folder(root)
        with self._lock.hold():
            known = self._read()
            if known.get(name, str(folder)) != str(folder):
                raise ConflictError(
                    f"datastore {name!r} is {known[name]} already", hint="choose another name for this folder"
                )
            files.write_json(self._file, {**known, name: str(folder)})
        return Datastore(name, str(folder))

    def get(self, name: str) -> Datastore:
        known = self._read()
        if name not in known:
            there = f"there are: {', '.join(sorted(known))}; " if known else ""
            raise NotFoundError(
                f"there is no datastore {name!r}", hint=f"{there}add it with `cva datastore add {name} FOLDER`"
            )
        return Datastore(name, known[name])

    def list(self) -> builtins.list[Datastore]:
        return [Datastore(name, root) for name, root in sorted(self._read().items())]

    def browse(self, name: str, pattern: str = "**/*", limit: int = 100) -> builtins.list[str]:
        """Paths of files under the datastore that match, sorted, at most `limit`; `**` stands for any folders."""
        root = Path(self.get(name).root)
        return list(islice((path for path in _walk(root) if matches(path, pattern)), max(limit, 0)))

    def preview(self, name: str, path: str) -> dict[str, Any]:
        """Size in bytes, and in pixels where the file is an image whose header can be read."""
        target = self.file(name, path)
        width, height = header_size(target) or (None, None)
        return {"path": path, "bytes": target.stat().st_size, "width": width, "height": height}

    def resolve(self, image_url: str, relative_to: Path) -> Path:
        """The file of an `image_url`; relative ones start beside the JSONL file `relative_to`.

        Raises: DataError (no such form of URL), NotFoundError (datastore), IntegrityError (leads out of the datastore).
        """
        return resolve_image(Row(image_url), relative_to, self.file)

    def file(self, name: str, path: str) -> Path:
        """A path inside a datastore. Raises: NotFoundError; IntegrityError where `..` or a link leads out."""
        root = Path(self.get(name).root)
        target = root / path
        inside = not PurePosixPath(path).is_absolute() and target.resolve().is_relative_to(root.resolve())
        if not inside or ".." in PurePosixPath(path).parts:
            raise IntegrityError(f"{path!r} leads out of datastore {name!r}", hint="give a path below its folder")
        return target

    def _read(self) -> dict[str, str]:
        try:
            return files.read_json(self._file, "the datastores")
        except FileNotFoundError:
            return {}


def _folder(root: str) -> Path:
    if urlsplit(root).scheme not in ("", "file") or "?" in root:
        kind = urlsplit(root).scheme or "address"  # the address itself is not repeated: it may hold a key
        raise UsageError(
            f"expected a folder of this machine, found an address ({kind}:)",
            hint="mount the container and give its folder; containers belong to an Azure workspace's datastores",
        )
    folder = Path(root.removeprefix("file://")).expanduser().absolute()
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise StorageError(f"{folder}: expected a folder, found {found}", hint="check the path, or mount it first")
    return folder


def _walk(root: Path) -> Iterator[str]:
    """Files below `root` as sorted relative paths; hidden folders and links to folders are passed over."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        yield from (str(here / name) for name in sorted(names) if not name.startswith("."))
