"""What is read of a deployed resource, by the published types, and what a loop's names are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.azure_types import Shape
from tests.infrastructure.bicep.finding import Place
from tests.infrastructure.bicep.function_results import of_kind
from tests.infrastructure.bicep.values import Anything, Items, Origin, Piece, Text, Value, choice, of_shape, render

if TYPE_CHECKING:
    from tests.infrastructure.bicep.instances import Instance
    from tests.infrastructure.bicep.symbol import Symbol

Report = Callable[[Place, str, str], None]


def loop_names(instance: Instance, loop: tree.Loop, local: dict[str, Value]) -> dict[str, Value]:
    source = instance.evaluate(loop.source, local)
    label = f"{instance.label}: {loop.item} of {render(source)}"
    one = Anything(label)
    item = choice(*source.items) if isinstance(source, Items) and source.items else one
    index = of_kind("int", f"{instance.label}: {loop.index} at line {loop.at.line}", 0, None)
    return {loop.item: item, **({loop.index: index} if loop.index else {})}


def resource_member(symbol: Symbol, name: str, at: Place) -> Value:
    """`symbol.name` of a resource."""
    instance, resource = symbol.instance, symbol.declaration
    assert isinstance(resource, tree.Resource)
    found = instance.resource_type(resource)
    type_name = found.name if found else resource.target.partition("@")[0]
    key = instance.key(resource)
    if name == "name":
        return instance.name_of(resource)
    if name in ("id", "type", "apiVersion") or found is None:
        return _text_of(Origin(name, type_name, key))
    return member_of(found.body, Origin("", type_name, key), name, at, instance.report)


def _text_of(origin: Origin) -> Value:
    return Text((Piece(f"{origin.what} of {origin.key}", 1, None, origin=origin),))


def member_of(shape: Shape, origin: Origin, name: str, at: Place, report: Report) -> Value:
    """A property of an object that a deployed resource has."""
    what = f"{origin.what}.{name}" if origin.what else name
    slots = dict(shape.slots)
    if shape.kind == "DiscriminatedObjectType":
        for variant in shape.variants.values():
            slots |= variant.slots
    if name in slots:
        return of_shape(slots[name].shape, Origin(what, origin.type, origin.key))
    if shape.additional is not None:
        return of_shape(shape.additional, Origin(what, origin.type, origin.key))
    report(at, "unknown-property", f"{origin.type} has no property '{what}'")
    return Anything(what)
