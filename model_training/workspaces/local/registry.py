"""`models/registry.json`: the plain mirror of every registered version that devices and the command line read.

One atomic file; a version exists for readers when it stands here. Knows nothing about MLflow or how versions are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_training.workspaces import files, model_versions
from model_training.workspaces.model_versions import CHAMPION_SINCE
from scoring.errors import IncompatibleError

__all__ = ["CHAMPION_SINCE", "SCHEMA", "Entry", "Registry"]

SCHEMA = 1
Entry = dict[str, Any]  # path, manifest_sha256, created_at, tags


@dataclass(frozen=True)
class Registry:
    """What the file held when it was read; `put` writes it anew."""

    path: Path
    models: Mapping[str, Mapping[int, Entry]]

    @staticmethod
    def read(path: Path) -> Registry:
        try:
            value = files.read_json(path, "the registry")
        except FileNotFoundError:
            return Registry(path, {})
        if value.get("schema") != SCHEMA:
            raise IncompatibleError(
                f"{path}: expected a registry of schema {SCHEMA}, found {value.get('schema')!r}",
                hint="update the package",
            )
        models = {
            name: {int(number): entry for number, entry in model["versions"].items()}
            for name, model in value["models"].items()
        }
        return Registry(path, models)

    def put(self, name: str, version: int, entry: Entry) -> Registry:
        """The commit: from here on readers see the version (or its new tags)."""
        changed = {**self.models, name: {**self.models.get(name, {}), version: entry}}
        after = Registry(self.path, changed)
        files.write_json(self.path, {"schema": SCHEMA, "models": {n: after._model(n) for n in sorted(changed)}})
        return after

    def _model(self, name: str) -> dict[str, Any]:
        versions = {str(number): self.models[name][number] for number in sorted(self.models[name])}
        return {"champion": self.champion(name), "versions": versions}

    def champion(self, name: str) -> int | None:
        """The version with the latest `champion_since` tag."""
        return model_versions.champion(self._tags(name))

    def resolve(self, reference: str) -> tuple[str, int]:
        """Raises: NotFoundError that lists what there is, UsageError for another word after `@` or `:`."""
        return model_versions.resolve({name: self._tags(name) for name in self.models}, reference)

    def _tags(self, name: str) -> dict[int, Mapping[str, str]]:
        return {number: entry["tags"] for number, entry in self.models.get(name, {}).items()}
