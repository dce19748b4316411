"""`models/registry.json`: the plain mirror of every registered version that devices and the command line read.

One atomic file; a version exists for readers when it stands here. Knows nothing about MLflow or how versions are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_training.workspaces import files
from scoring.errors import IncompatibleError, NotFoundError, UsageError

SCHEMA = 1
CHAMPION_SINCE = "champion_since"
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
        since = {
            number: str(entry["tags"][CHAMPION_SINCE])
            for number, entry in self.models.get(name, {}).items()
            if entry["tags"].get(CHAMPION_SINCE)
        }
        return max(since, key=lambda number: (since[number], number)) if since else None

    def resolve(self, reference: str) -> tuple[str, int]:
        """`NAME`, `NAME:3`, `NAME@champion`, `NAME@best`, `NAME@latest`; a bare name is the champion, else the latest.

        Raises: NotFoundError that lists what there is, UsageError for another word after `@` or `:`.
        """
        name, mark, word = _split(reference)
        versions = self.models.get(name)
        if not versions:
            known = ", ".join(sorted(self.models)) or "none yet"
            raise NotFoundError(f"there is no model {name!r}; models: {known}", hint="see `cva model list`")
        if mark and not word:
            raise UsageError(f"expected a version after '{mark}', found {reference!r}", hint="NAME:3 or NAME@latest")
        if mark == ":":
            return name, self._number(name, word)
        champion = self.champion(name)
        if word == "latest" or (not word and champion is None):
            return name, max(versions)
        if word not in ("", "champion", "best"):
            raise UsageError(f"model {reference!r}: expected @champion, @best or @latest, found '@{word}'")
        if champion is None:
            raise NotFoundError(
                f"model {name!r} has no champion; versions: {_listed(versions)}",
                hint=f"choose one: cva model promote {name}:VERSION",
            )
        return name, champion

    def _number(self, name: str, word: str) -> int:
        versions = self.models[name]
        if not word.isascii() or not word.isdigit():
            raise UsageError(f"model {name}:{word}: expected a whole number after ':'", hint="NAME:3 or NAME@latest")
        if int(word) not in versions:
            raise NotFoundError(
                f"model {name!r} has no version {word}; versions: {_listed(versions)}", hint="see `cva model list`"
            )
        return int(word)


def _split(reference: str) -> tuple[str, str, str]:
    for mark in (":", "@"):
        name, found, word = reference.partition(mark)
        if found:
            return name, mark, word
    return reference, "", ""


def _listed(versions: Mapping[int, Entry]) -> str:
    return ", ".join(str(number) for number in sorted(versions))
