"""The registry of an Azure ML workspace as devices' commands ask one: three questions (`scoring/edge/registry.py`).

For people and CI; a device needs no SDK, it pulls from a static folder. A version is fetched whole and verified in the
cache, where it is read like a local one: each name is a registry of its own there, so two pulls at once may share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from scoring.edge.registry import SCHEMA, Index, LocalRegistry, Resolved
from scoring.errors import IntegrityError
from scoring.files import write_json

if TYPE_CHECKING:
    from model_training.workspaces.azureml.workspace import AzureWorkspace

MANIFEST_TAG = "manifest_sha256"


class AzureRegistry:
    def __init__(self, workspace: AzureWorkspace) -> None:
        self._models = workspace.models
        self._cache = workspace.cache

    def resolve(self, name: str, version: str) -> Resolved:
        """Raises: NotFoundError, OfflineError; IntegrityError for a version that is no bundle of ours."""
        models = self._models.list(name)
        entries = {
            str(model.version): {
                "path": str(model.version),
                "manifest_sha256": model.tags.get(MANIFEST_TAG, ""),
                "created_at": model.created_at,
                "tags": dict(model.tags),
            }
            for model in models
        }
        champion = next((model.version for model in models if model.champion), None)
        local = self._local(name)
        index = Index({name: {"champion": champion, "versions": entries}}, str(local.models))
        try:
            exact = index.resolve(name, version)
        except IntegrityError as error:
            raise IntegrityError(
                f"that version of {name!r} was registered by other means: it has no tag {MANIFEST_TAG}",
                hint="choose a version that a pipeline registered: cva model list",
            ) from error
        local.models.mkdir(parents=True, exist_ok=True)
        write_json(local.models / "registry.json", {"schema": SCHEMA, "models": index.models})
        return exact

    def manifest(self, name: str, version: int) -> bytes:
        self._models.get(f"{name}:{version}")
        return self._local(name).manifest(name, version)

    def fetch(self, name: str, version: int, path: str) -> BinaryIO:
        return self._local(name).fetch(name, version, path)

    def fetched(self, name: str, version: str) -> LocalRegistry:
        """A folder that holds that version, to publish from."""
        exact = self.resolve(name, version)
        self._models.get(f"{name}:{exact.version}")
        return self._local(name)

    def _local(self, name: str) -> LocalRegistry:
        return LocalRegistry(self._cache.model(name, 0).parent)
