"""Named blob containers of an Azure ML workspace: listed, browsed, and their files fetched into the cache.

Access is by the caller's own identity; nothing here holds a key. Knows nothing about what is in the files.
"""

from __future__ import annotations

import builtins
from itertools import islice
from pathlib import Path
from typing import Any

from model_training.data.image_folder import header_size
from model_training.data.image_urls import resolve_image
from model_training.data.rows import Row
from model_training.workspaces.azureml.cache import Cache
from model_training.workspaces.azureml.naming import check_datastore_name, container_of, inside
from model_training.workspaces.azureml.service import Blobs, Container, Service
from model_training.workspaces.base import Datastore
from model_training.workspaces.patterns import literal_folder, matches
from scoring.errors import ConflictError, NotFoundError


class AzureDatastores:
    def __init__(self, service: Service, cache: Cache) -> None:
        self._service = service
        self._cache = cache
        self._opened: dict[str, Blobs] = {}

    def add(self, name: str, root: str) -> Datastore:
        """Name a container, `https://ACCOUNT.blob.core.windows.net/CONTAINER`; naming it the same again is no error.

        Raises: UsageError (no such address, or one with a key), ConflictError (the name is taken).
        """
        container = container_of(check_datastore_name(name), root)
        known = self._known().get(name)
        if known and known.url != container.url:
            raise ConflictError(
                f"datastore {name!r} is {known.url} already", hint="choose another name for this container"
            )
        if not known:
            self._service.add_datastore(container)
        return Datastore(name, container.url)

    def get(self, name: str) -> Datastore:
        known = self._known()
        if name not in known:
            raise NotFoundError(
                f"there is no datastore {name!r}; there are: {', '.join(sorted(known)) or 'none'}",
                hint=f"add it with `cva datastore add {name} https://ACCOUNT.blob.core.windows.net/CONTAINER`",
            )
        return Datastore(name, known[name].url)

    def list(self) -> builtins.list[Datastore]:
        return [Datastore(name, container.url) for name, container in sorted(self._known().items())]

    def browse(self, name: str, pattern: str = "**/*", limit: int = 100) -> builtins.list[str]:
        """Paths of files in the container that match, sorted, at most `limit`; `**` stands for any folders.

        The service lists in this order, so that a big container is read only as far as the limit.
        """
        self.get(name)
        found = self.blobs(name).list(literal_folder(pattern))
        shown = (path for path in found if not _hidden(path) and matches(path, pattern))
        return sorted(islice(shown, max(limit, 0)))

    def preview(self, name: str, path: str) -> dict[str, Any]:
        """Size in bytes, and in pixels where the file is an image whose header can be read."""
        target = self.file(name, path)
        width, height = header_size(target) or (None, None)
        return {"path": path, "bytes": target.stat().st_size, "width": width, "height": height}

    def resolve(self, image_url: str, relative_to: Path) -> Path:
        """The file of an `image_url`, fetched if it is in a datastore; relative ones start beside `relative_to`.

        Raises: DataError (no such form of URL), NotFoundError (datastore, file), IntegrityError (leads out of it).
        """
        return resolve_image(Row(image_url), relative_to, self.file)

    def file(self, name: str, path: str) -> Path:
        """A blob in the cache; one that is there already is not fetched again, so a blob is taken not to change.

        Raises: NotFoundError, IntegrityError for a path that leads out of the container.
        """
        target = self._cache.blob(name, inside(path, name))
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            self.blobs(name).download(path, target)
        return target

    def blobs(self, name: str) -> Blobs:
        """The container, opened once."""
        if name not in self._opened:
            self._opened[name] = self._service.blobs(name)
        return self._opened[name]

    def _known(self) -> dict[str, Container]:
        return {container.name: container for container in self._service.datastores()}


def _hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))
