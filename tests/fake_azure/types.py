"""Bodies against Azure's published resource types: unknown property, wrong type, missing required, unknown value.

published_types.py says where the types lie; without them no body is let through unchecked. Knows no route.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fake_azure import published_types

REQUIRED, READ_ONLY = 1, 2  # flags of a property
PROVIDER = "microsoft.machinelearningservices"
_FROM_THE_ADDRESS = ("id", "name", "type", "apiVersion")


def problems(resource: str, body: Any, *, provider: str = PROVIDER, version: str = "") -> list[str]:
    """What is wrong with a body for a resource such as `workspaces/models/versions`; one line each, with its place.

    Of the versions that lie here the asked one counts, or else the next one after it, or else the newest.
    Raises: KeyError for a resource that no version has, RuntimeError where there are no types.
    """
    versions = _catalogues(provider)
    full = f"{provider}/{resource}".lower()
    later = [each for each in versions if version and each[0] >= version]
    for _, types, bodies in (*reversed(later), *versions):  # these newest first
        if full in bodies:
            return list(_Check(types).object(types[bodies[full]], body, "body", skip=_FROM_THE_ADDRESS))
    raise KeyError(f"no published version has the resource type {full}")


@functools.cache
def _catalogues(provider: str) -> list[tuple[str, list[Any], dict[str, int]]]:
    """Each version, newest first, with its types and where each resource's body stands among them."""
    where = published_types.folder()
    files = sorted(where.glob(f"{provider}@*.json"), reverse=True)
    if not files:
        raise RuntimeError(f"no published resource types of {provider} at {where}: see {published_types.VARIABLE}")
    catalogues = []
    for file in files:
        types = json.loads(file.read_text(encoding="utf-8"))
        resources = (each for each in types if each["$type"] == "ResourceType")
        bodies = {each["name"].partition("@")[0].lower(): _number(each["body"]) for each in resources}
        catalogues.append((file.stem.partition("@")[2], types, bodies))
    return catalogues


class _Check:
    def __init__(self, types: list[Any]) -> None:
        self.types = types

    def value(self, kind: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        name = kind["$type"]
        if name in ("ObjectType", "DiscriminatedObjectType"):
            yield from self.object(kind, value, where)
        elif name == "ArrayType":
            yield from self.array(kind, value, where)
        elif name == "UnionType":
            yield from self.union(kind, value, where)
        elif name != "AnyType" and not _fits(kind, value):
            yield f"{where}: expected {_words(kind)}, found {value!r}"

    def object(
        self, kind: Mapping[str, Any], value: Any, where: str, *, skip: tuple[str, ...] = (), discriminator: str = ""
    ) -> Iterator[str]:
        if kind["$type"] == "DiscriminatedObjectType":
            yield from self.discriminated(kind, value, where)
            return
        if not isinstance(value, Mapping):
            yield f"{where}: expected an object, found {value!r}"
            return
        known = kind.get("properties", {})
        for key, item in value.items():
            if key in skip or key == discriminator:
                continue
            if key in known:
                yield from self.property(known[key], item, f"{where}.{key}")
            elif "additionalProperties" in kind:
                yield from self.value(self.at(kind["additionalProperties"]), item, f"{where}.{key}")
            else:
                yield f"{where}: unknown property '{key}'; known: {', '.join(sorted(known))}"
        for key, each in known.items():
            if each["flags"] & REQUIRED and key not in skip and value.get(key) is None:
                yield f"{where}: '{key}' is required"

    def property(self, described: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        """What only the service writes is ignored by it, and null is absent."""
        if value is not None and not described["flags"] & READ_ONLY:
            yield from self.value(self.at(described["type"]), value, where)

    def discriminated(self, kind: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        key = kind["discriminator"]
        if not isinstance(value, Mapping):
            yield f"{where}: expected an object, found {value!r}"
            return
        chosen = kind["elements"].get(value.get(key))
        if chosen is None:
            yield f"{where}.{key}: expected one of {', '.join(sorted(kind['elements']))}, found {value.get(key)!r}"
            return
        element = self.at(chosen)
        merged = {**element, "properties": {**kind.get("baseProperties", {}), **element.get("properties", {})}}
        yield from self.object(merged, value, where, discriminator=key)

    def array(self, kind: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{where}: expected a list, found {value!r}"
            return
        for number, item in enumerate(value):
            yield from self.value(self.at(kind["itemType"]), item, f"{where}[{number}]")

    def union(self, kind: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        elements = [self.at(each) for each in kind["elements"]]
        if not any(not list(self.value(each, value, where)) for each in elements):
            yield f"{where}: expected {' or '.join(_words(each) for each in elements)}, found {value!r}"

    def at(self, reference: Mapping[str, str]) -> Any:
        return self.types[_number(reference)]


def _number(reference: Mapping[str, str]) -> int:
    return int(reference["$ref"].rpartition("/")[2])


def _fits(kind: Mapping[str, Any], value: Any) -> bool:
    name = kind["$type"]
    if name == "StringLiteralType":
        return bool(value == kind["value"])
    if name == "BooleanType":
        return isinstance(value, bool)
    if name == "IntegerType":  # Bicep has no fractions: its types call every number so
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and kind.get("minValue", value) <= value <= kind.get("maxValue", value)
    if name == "StringType":
        return isinstance(value, str) and _fitting_text(kind, value)
    if name == "NullType":
        return value is None
    raise AssertionError(f"a type that this check does not know: {name}")


def _fitting_text(kind: Mapping[str, Any], value: str) -> bool:
    shortest, longest = kind.get("minLength", 0), kind.get("maxLength", len(value))
    return shortest <= len(value) <= longest and (not kind.get("pattern") or bool(re.search(kind["pattern"], value)))


def _words(kind: Mapping[str, Any]) -> str:
    if kind["$type"] == "StringLiteralType":
        return repr(kind["value"])
    extra = f" like {kind['pattern']}" if kind.get("pattern") else ""
    return f"{kind['$type'].removesuffix('Type').lower()}{extra}"
