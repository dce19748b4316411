"""Where registered models are read from: three questions, and the local workspace's plain files that answer them.

Reads `<workspace>/models/registry.json` and the bundle folders beside it; writes nothing, knows no MLflow.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from scoring.bundle import MANIFEST
from scoring.errors import IncompatibleError, IntegrityError, NotFoundError, OfflineError, UsageError
from scoring.paths import check_path

SCHEMA = 1
WORDS = ("latest", "champion", "best")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Resolved:
    """An exact version; its manifest has this hash and nothing else will do."""

    name: str
    version: int
    manifest_sha256: str


class Registry(Protocol):
    """Raises: NotFoundError (no such model or version), OfflineError (the registry itself cannot be reached)."""

    def resolve(self, name: str, version: str) -> Resolved: ...
    def manifest(self, name: str, version: int) -> bytes: ...
    def fetch(self, name: str, version: int, path: str) -> BinaryIO: ...


def find_workspace(path: Path | str | None = None) -> Path:
    """`path`, else CVA_WORKSPACE, else the nearest `.cva` upwards, else `.cva` here (which may not be there yet).

    A folder that holds a workspace in its `.cva` stands for that workspace.
    """
    given = path or os.environ.get("CVA_WORKSPACE")
    if given:
        folder = Path(given).expanduser().absolute()
        inside = folder / ".cva"
        return inside if (inside / "workspace.json").is_file() else folder
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".cva" / "workspace.json").is_file():
            return folder / ".cva"
    return here / ".cva"


def parse_reference(reference: str) -> tuple[str, str]:
    """`NAME`, `NAME:3`, `NAME@latest`, `NAME@champion`, `NAME@best` to name and version; a bare name has version "".

    Raises: UsageError.
    """
    name, mark, word = reference, "", ""
    for sign in (":", "@"):
        if sign in reference:
            name, mark, word = reference.partition(sign)
            break
    if mark and not word:
        raise UsageError(f"expected a version after '{mark}', found {reference!r}", hint="NAME:3 or NAME@latest")
    return check_model_name(name), check_version(word) if mark else ""


def check_model_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"model {name!r}: expected 1 to 100 letters, digits, '_', '.' or '-', the first a letter or digit",
            hint="write NAME, NAME:3, NAME@champion or NAME@latest",
        )
    return name


def check_version(word: str) -> str:
    """`latest`, `best`, `champion` (also with `@`) or a whole number. Raises: UsageError."""
    plain = word.removeprefix("@")
    if plain in WORDS or (plain.isascii() and plain.isdigit() and plain == word):
        return plain
    raise UsageError(f"expected a version of {', '.join(WORDS)} or a whole number, found {word!r}")


@dataclass(frozen=True)
class LocalRegistry:
    """The `models/` folder of a local workspace."""

    models: Path

    @staticmethod
    def of(workspace: Path | str | None = None) -> LocalRegistry:
        return LocalRegistry(find_workspace(workspace) / "models")

    def resolve(self, name: str, version: str) -> Resolved:
        """A bare name ("") is the champion, else the latest; `best` means the champion."""
        model = self._model(name)
        number = _choose(name, version, model)
        return Resolved(name, number, str(model["versions"][str(number)]["manifest_sha256"]))

    def manifest(self, name: str, version: int) -> bytes:
        with self.fetch(name, version, MANIFEST) as file:
            return file.read()

    def fetch(self, name: str, version: int, path: str) -> BinaryIO:
        check_path(path)
        try:
            return (self.folder(name, version) / path).open("rb")
        except OSError as error:
            raise OfflineError(f"cannot read {path} of {name}:{version}: {error.strerror}: {error.filename}") from error

    def folder(self, name: str, version: int) -> Path:
        """The bundle's own folder; safe to read in place, it is never changed."""
        relative = str(self._model(name)["versions"][str(version)]["path"])
        check_path(relative)
        return self.models / relative

    def _model(self, name: str) -> dict[str, Any]:
        models = self._read()
        if name not in models or not models[name].get("versions"):
            known = ", ".join(sorted(models)) or "none yet"
            raise NotFoundError(
                f"there is no model {name!r} in {self.models}; models: {known}", hint="see `cva model list`"
            )
        model: dict[str, Any] = models[name]
        return model

    def _read(self) -> dict[str, Any]:
        path = self.models / "registry.json"
        try:
            value = json.loads(path.read_bytes())
        except OSError as error:
            raise OfflineError(
                f"cannot read {path}: {error.strerror}",
                hint="give the workspace with --workspace, or register a model first (`cva demo` makes one)",
            ) from error
        except ValueError as error:
            raise IntegrityError(f"{path} is not JSON: {error}", hint="run `cva workspace doctor`") from error
        if not isinstance(value, dict) or not isinstance(value.get("models"), dict):
            raise IntegrityError(f"{path} is not a registry", hint="run `cva workspace doctor`")
        if value.get("schema") != SCHEMA:
            raise IncompatibleError(
                f"expected a registry of schema {SCHEMA}, found {value.get('schema')!r}", hint="update cv-accelerator"
            )
        models: dict[str, Any] = value["models"]
        return models


def _choose(name: str, version: str, model: dict[str, Any]) -> int:
    versions = sorted(int(number) for number in model["versions"])
    champion = model.get("champion")
    listed = ", ".join(map(str, versions))
    if version == "latest" or (not version and champion is None):
        return versions[-1]
    if version in ("", "best", "champion"):
        if champion is None:
            raise NotFoundError(
                f"model {name!r} has no champion; versions: {listed}", hint="choose one with `cva model promote`"
            )
        return int(champion)
    if not version.isdigit() or int(version) not in versions:
        raise NotFoundError(f"model {name!r} has no version {version}; versions: {listed}", hint="see `cva model list`")
    return int(version)
