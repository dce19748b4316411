"""Azure's published Bicep type definitions, read from a folder of files named provider@version.json. Checks nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

REQUIRED, READ_ONLY = 1, 2  # flags of a property


@dataclass(frozen=True)
class Slot:
    """A property of an object type."""

    shape: Shape
    flags: int
    description: str


class Definitions:
    """The types of one file, which refer to each other by their numbers."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.entries = entries
        self._shapes: dict[int, Shape] = {}

    def shape(self, number: int) -> Shape:
        if number not in self._shapes:
            self._shapes[number] = Shape(self, self.entries[number])
        return self._shapes[number]


@dataclass(frozen=True, eq=False)
class Shape:
    """One type."""

    definitions: Definitions
    raw: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.raw["$type"])

    def follow(self, reference: dict[str, str]) -> Shape:
        return self.definitions.shape(int(reference["$ref"].rpartition("/")[2]))

    @cached_property
    def slots(self) -> dict[str, Slot]:
        """What an object has; of one with variants, what all of them have."""
        raw = self.raw.get("properties") or self.raw.get("baseProperties") or {}
        return {
            name: Slot(self.follow(each["type"]), each["flags"], each.get("description", ""))
            for name, each in raw.items()
        }

    @property
    def additional(self) -> Shape | None:
        found = self.raw.get("additionalProperties")
        return self.follow(found) if found else None

    @property
    def item(self) -> Shape:
        return self.follow(self.raw["itemType"])

    @property
    def choices(self) -> list[Shape]:
        return [self.follow(each) for each in self.raw["elements"]]

    @property
    def variants(self) -> dict[str, Shape]:
        return {name: self.follow(each) for name, each in self.raw["elements"].items()}

    @cached_property
    def literals(self) -> list[str]:
        """The known values of a string."""
        if self.kind == "StringLiteralType":
            return [self.raw["value"]]
        return [value for each in self.choices for value in each.literals] if self.kind == "UnionType" else []


@dataclass(frozen=True)
class ResourceType:
    name: str  # as Azure spells it
    version: str
    body: Shape
    scopes: int  # it can be deployed to: 1 tenant, 2 management group, 4 subscription, 8 resource group, 16 a resource


class UnknownTypeError(Exception):
    """No such resource type, no such version of it, or no definitions of its provider here."""


class Library:
    """The definitions of one folder, each file read once and only when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.providers: dict[str, dict[str, Path]] = {}
        for path in sorted(folder.glob("*@*.json")):
            provider, _, version = path.stem.partition("@")
            self.providers.setdefault(provider, {})[version] = path

    @lru_cache(maxsize=256)  # noqa: B019 - there is one library in a process
    def resource(self, target: str) -> ResourceType:
        """Raises: UnknownTypeError."""
        name, _, version = target.partition("@")
        provider = name.partition("/")[0].lower()
        versions = self.providers.get(provider)
        if versions is None:
            near = get_close_matches(provider, self.providers, 1)
            raise UnknownTypeError(
                f"no definitions of the provider '{provider}'" + (f", but of {near[0]}" if near else "")
            )
        if version not in versions:
            raise UnknownTypeError(f"{provider} has no API version '{version}' here; there are {', '.join(versions)}")
        found = _resources(versions[version])
        if name.lower() not in found:
            near = get_close_matches(name.lower(), found, 1)
            hint = f"; did you mean {found[near[0]].name}?" if near else ""
            raise UnknownTypeError(f"no resource type '{name}' in version {version}{hint}")
        return found[name.lower()]


@lru_cache(maxsize=32)
def _resources(path: Path) -> dict[str, ResourceType]:
    definitions = Definitions(json.loads(path.read_text(encoding="utf-8")))
    found = {}
    for raw in definitions.entries:
        if raw["$type"] == "ResourceType":
            name, _, version = raw["name"].partition("@")
            body = Shape(definitions, raw).follow(raw["body"])
            found[name.lower()] = ResourceType(name, version, body, raw["writableScopes"])
    return found
