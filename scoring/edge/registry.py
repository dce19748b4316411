"""Where registered models are read from: three questions, and a folder on this machine that answers them.

The folder is a workspace's `models/`, or what `publish-static` wrote: `registry.json` and the bundles beside it.
Writes nothing, knows no MLflow and no network (`static.py` asks the same of a web server).
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from scoring.bundle import MANIFEST, MAX_MANIFEST_BYTES, parse_manifest, unlisted_files
from scoring.errors import IncompatibleError, IntegrityError, NotFoundError, OfflineError, UsageError
from scoring.paths import check_path

SCHEMA = 1
WORDS = ("latest", "champion", "best")
AZURE = "azureml"  # as a workspace: none that is read as a folder
MAX_INDEX_BYTES = 16 << 20
SHOWN = 20  # models that a message names
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Resolved:
    """An exact version; its manifest has this hash and nothing else will do."""

    name: str
    version: int
    manifest_sha256: str


class Registry(Protocol):
    """Raises: NotFoundError (no such model, version or file), OfflineError (the registry itself cannot be reached),
    IntegrityError (what it holds is not a registry, or a file that a bundle may not hold).
    """

    def resolve(self, name: str, version: str) -> Resolved: ...
    def manifest(self, name: str, version: int) -> bytes: ...
    def fetch(self, name: str, version: int, path: str) -> BinaryIO: ...


def find_workspace(path: Path | str | None = None) -> Path:
    """`path`, else CVA_WORKSPACE, else the nearest `.cva` upwards, else `.cva` here (which may not be there yet).

    A folder that holds a workspace in its `.cva` stands for that workspace. Raises: UsageError for Azure's.
    """
    given = path or os.environ.get("CVA_WORKSPACE")
    if given == AZURE:
        raise UsageError(
            "this command works in a folder of this machine, not in an Azure ML workspace",
            hint=f"leave out --workspace {AZURE}; a folder of that name is ./{AZURE}",
        )
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
    if plain in WORDS or (re.fullmatch(r"[0-9]{1,9}", plain) and plain == word):
        return plain
    raise UsageError(f"expected a version of {', '.join(WORDS)} or a whole number, found {word!r}")


@dataclass(frozen=True)
class Index:
    """`registry.json`: {"schema": 1, "models": {NAME: {"champion": N or null, "versions": {"N": {"path",
    "manifest_sha256", "created_at", "tags"}}}}}. `place` is where it was read, for messages.
    """

    models: dict[str, Any]
    place: str

    @staticmethod
    def parse(data: bytes, place: str) -> Index:
        """Raises: IntegrityError, IncompatibleError."""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _broken(place, f"it is not JSON: {error}") from error
        if not isinstance(value, dict) or not isinstance(value.get("models"), dict):
            raise _broken(place, "it is not a registry")
        if value.get("schema") != SCHEMA:
            raise IncompatibleError(
                f"expected a registry of schema {SCHEMA}, found {value.get('schema')!r}", hint="update cv-accelerator"
            )
        return Index(value["models"], place)

    def resolve(self, name: str, version: str) -> Resolved:
        """A bare name ("") is the champion, else the latest; `best` means the champion."""
        number = _choose(name, version, self._model(name))
        return Resolved(name, number, str(self.entry(name, number)["manifest_sha256"]))

    def entry(self, name: str, version: int) -> dict[str, Any]:
        """One version's entry, its hash and its path checked. Raises: NotFoundError, IntegrityError."""
        entry = self._model(name)["versions"].get(str(version))
        if entry is None:
            raise NotFoundError(f"model {name!r} has no version {version}", hint="see `cva model list`")
        if not isinstance(entry, dict) or not _SHA256.fullmatch(str(entry.get("manifest_sha256"))):
            raise _broken(self.place, f"{name}:{version} has no manifest_sha256")
        check_path(str(entry.get("path", "")))
        return entry

    def champion(self, name: str) -> int | None:
        found: int | None = self.models.get(name, {}).get("champion")
        return found

    def _model(self, name: str) -> dict[str, Any]:
        model = self.models.get(name)
        if not model:
            names = sorted(each for each in self.models if _NAME.fullmatch(each))  # others are for no terminal
            known = ", ".join([*names[:SHOWN], *(["..."] if names[SHOWN:] else [])]) or "none yet"
            raise NotFoundError(
                f"there is no model {name!r} in {self.place}; models: {known}", hint="see `cva model list`"
            )
        versions = model.get("versions") if isinstance(model, dict) else None
        champion = model.get("champion") if isinstance(model, dict) else None
        if not isinstance(versions, dict) or not versions or not all(_is_number(each) for each in versions):
            raise _broken(self.place, f"{name} has no numbered versions")
        if champion is not None and str(champion) not in versions:
            raise _broken(self.place, f"the champion of {name} is {champion!r}, which is none of its versions")
        return dict(model)


@dataclass(frozen=True)
class LocalRegistry:
    """A folder with `registry.json` and bundles: the `models/` of a workspace, or a published one."""

    models: Path

    @staticmethod
    def of(workspace: Path | str | None = None) -> LocalRegistry:
        return LocalRegistry(find_workspace(workspace) / "models")

    def resolve(self, name: str, version: str) -> Resolved:
        """A bare name ("") is the champion, else the latest; `best` means the champion."""
        return self.index().resolve(name, version)

    def manifest(self, name: str, version: int) -> bytes:
        """Its bytes; a folder that holds a link, or a file that the manifest does not list, is refused."""
        with self.fetch(name, version, MANIFEST) as file:
            data = read_up_to(file, MAX_MANIFEST_BYTES)
        digest = str(self.index().entry(name, version)["manifest_sha256"])
        extra = unlisted_files(self.folder(name, version), parse_manifest(data, digest))
        if extra:
            raise IntegrityError(
                f"{name}:{version} holds files that its manifest does not list: {', '.join(extra)}",
                hint="do not use it; register or publish the model again",
            )
        return data

    def fetch(self, name: str, version: int, path: str) -> BinaryIO:
        check_path(path)
        folder = self.folder(name, version)
        try:
            return _open_regular(folder, path)
        except FileNotFoundError as error:
            raise NotFoundError(f"{name}:{version} has no {path} in {folder}", hint="publish it again") from error
        except OSError as error:
            raise OfflineError(f"cannot read {path} of {name}:{version}: {error.strerror}: {error.filename}") from error

    def folder(self, name: str, version: int) -> Path:
        """The bundle's own folder; safe to read in place, it is never changed."""
        return self.models / str(self.index().entry(name, version)["path"])

    def index(self) -> Index:
        path = self.models / "registry.json"
        try:
            with path.open("rb") as file:
                data = read_up_to(file, MAX_INDEX_BYTES)
        except OSError as error:
            raise OfflineError(
                f"cannot read {path}: {error.strerror}",
                hint="see --registry and --workspace, or register a model first (`cva demo` makes one)",
            ) from error
        if len(data) > MAX_INDEX_BYTES:
            raise _broken(str(self.models), f"it has more than {MAX_INDEX_BYTES} bytes")
        return Index.parse(data, str(self.models))


def read_up_to(file: BinaryIO, limit: int) -> bytes:
    """All of a file, or `limit` + 1 bytes where it is longer."""
    data = bytearray()
    while len(data) <= limit and (block := file.read(min(1 << 20, limit + 1 - len(data)))):
        data += block
    return bytes(data)


def _open_regular(folder: Path, path: str) -> BinaryIO:
    """A file of the folder, never what a link names elsewhere, never a pipe that blocks. Raises: IntegrityError."""
    full = folder / path
    for each in (full, *full.parents):
        if each == folder:
            break
        mode = each.lstat().st_mode
        if not (stat.S_ISREG(mode) if each == full else stat.S_ISDIR(mode)):
            raise IntegrityError(
                f"{each} is a link or a special file, which a bundle may not hold", hint="publish the model again"
            )
    return full.open("rb")


def _broken(place: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"registry.json in {place} is broken: {why}", hint="run `cva workspace doctor`, or publish it again"
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"0|[1-9][0-9]{0,8}", text) is not None


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
