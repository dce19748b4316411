"""Finds what stands at a path of a body: 'properties.rules[].name' is the name of every rule."""

from __future__ import annotations

from collections.abc import Iterator

from tests.infrastructure.bicep.finding import Place
from tests.infrastructure.bicep.values import DYNAMIC, Fields, Items, Value, each_of


def at_path(value: Value, path: str, at: Place) -> Iterator[tuple[Place, Value]]:
    """Each with its place. A key that is made when it is deployed stands at '*'."""
    if not path:
        yield at, value
        return
    step, _, rest = path.partition(".")
    name = step.removesuffix("[]")
    for one in each_of(value):
        if not isinstance(one, Fields):
            continue
        for held in one.held:
            if held.name == name:
                for inner in _items(held.value) if step.endswith("[]") else [held.value]:
                    key = isinstance(inner, Items) and name == DYNAMIC
                    yield from at_path(inner.items[0] if key and isinstance(inner, Items) else inner, rest, held.at)


def _items(value: Value) -> Iterator[Value]:
    for one in each_of(value):
        if isinstance(one, Items):
            yield from one.items
