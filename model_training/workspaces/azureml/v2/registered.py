"""Registered models: a folder, a whole-number version, tags that can change and properties that cannot.

Knows nothing of bundles, champions or what a tag means.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.service import Blobs, ModelAsset
from model_training.workspaces.azureml.transfer import upload_folder
from model_training.workspaces.azureml.v2.errors import translated
from model_training.workspaces.azureml.v2.storage import StorageCalls
from model_training.workspaces.azureml.v2.times import moment
from model_training.workspaces.azureml.v2.versions import number, take_next
from scoring.errors import NotFoundError
from scoring.paths import check_paths

PLACE = "cva/models"  # in the default datastore
LAST = "manifest.json"
_URI = re.compile(r"azureml://(?:.*/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)")


class ModelCalls(StorageCalls):
    @translated
    def models(self, name: str | None = None) -> Sequence[ModelAsset]:
        names = [name] if name else [container.name for container in self._ml.models.list()]
        return [model for each in names for model in self._model_versions(each)]

    @translated
    def register_model(
        self, name: str, folder: Path, *, tags: Mapping[str, str], properties: Mapping[str, str], description: str = ""
    ) -> ModelAsset:
        """The files go up first, to a place of their own: a version is registered when all of them are there."""
        existing = [model.version for model in self._model_versions(name)]
        uri = self._uploaded(name, folder)

        def make(version: int) -> ModelAsset:
            return self._register_model(name, version, uri, dict(tags), dict(properties), description)

        return take_next(existing, make, f"model {name}")

    @translated
    def tag_model(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        model = self._ml.models.get(name, version=str(version))
        model.tags = {**(model.tags or {}), **tags}
        self._ml.models.create_or_update(model)

    @translated
    def download_model(self, name: str, version: int, folder: Path) -> None:
        """The registered folder's own files, directly in `folder`."""
        uri = str(self._ml.models.get(name, version=str(version)).path)
        place = _URI.fullmatch(uri)
        if place is None:
            raise NotFoundError(
                f"{name}:{version} is kept at {uri}, where no folder can be read",
                hint="register it from a folder: `cva model list` shows the versions that were",
            )
        download_folder(self.blobs(place["datastore"]), place["path"], folder, f"{name}:{version}")

    @translated
    def _register_model(
        self, name: str, version: int, uri: str, tags: dict[str, str], properties: dict[str, str], description: str
    ) -> ModelAsset:
        from azure.ai.ml.entities import Model

        model = Model(
            name=name,
            version=str(version),
            path=uri,
            type="custom_model",
            tags=tags,
            properties=properties,
            description=description or None,
        )
        found = _model(self._ml.models.create_or_update(model))
        assert found is not None, "a version that was just written has a number"
        return found

    def _uploaded(self, name: str, folder: Path) -> str:
        """Not by the SDK, which waits for ever for a file that could not be sent."""
        datastore, prefix = self.default_datastore(), f"{PLACE}/{name}/{secrets.token_hex(8)}"
        upload_folder(self.blobs(datastore), folder, prefix, LAST)
        return f"azureml://datastores/{datastore}/paths/{prefix}/"

    def _model_versions(self, name: str) -> Iterator[ModelAsset]:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            versions = list(self._ml.models.list(name))
        except ResourceNotFoundError:
            return
        yield from (found for model in versions if (found := _model(model)) is not None)


def download_folder(blobs: Blobs, prefix: str, folder: Path, what: str) -> None:
    """Every file below `prefix`. Raises: NotFoundError for nothing there, IntegrityError for a path that leads out."""
    root = prefix.strip("/") + "/"
    paths = [path for path in blobs.list(root) if not path.endswith("/")]
    if not paths:
        raise NotFoundError(f"{what} has no files", hint="they were removed from its storage; use another version")
    check_paths((path.removeprefix(root), 0) for path in paths)
    for path in paths:
        blobs.download(path, folder / path.removeprefix(root))


def _model(model: Any) -> ModelAsset | None:
    version = number(model.version)
    if version is None:
        return None
    created = getattr(model.creation_context, "created_at", None)
    return ModelAsset(
        name=model.name,
        version=version,
        tags=dict(model.tags or {}),
        properties=dict(model.properties or {}),
        description=model.description or "",
        created_at=moment(created),
    )
