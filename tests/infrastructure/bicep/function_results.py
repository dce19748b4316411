"""What a function gives, as far as that is known before the deployment: lengths of names above all."""

from __future__ import annotations

from collections.abc import Callable

from tests.infrastructure.bicep.finding import Place
from tests.infrastructure.bicep.functions import FUNCTIONS, OBJECTS, Objects
from tests.infrastructure.bicep.values import (
    Anything,
    Choice,
    Fields,
    Held,
    Items,
    Piece,
    Text,
    Truth,
    Value,
    Whole,
    as_piece,
    choice,
    each_of,
    is_secret,
    render,
)

UNIQUE_STRING, GUID = 13, 36  # letters


def result(name: str, arguments: list[Value], at: Place) -> Value:
    """Of a function with as many arguments as it takes."""
    label = f"{name}({', '.join(map(render, arguments))})"
    if name in OBJECTS:
        return _described(f"{name}({', '.join(map(render, arguments))})", OBJECTS[name], at)
    if name in RESULTS:
        return RESULTS[name](arguments, label)
    return of_kind(FUNCTIONS[name].result, label, secret=any(map(is_secret, arguments)))


def of_kind(
    kind: str | None, label: str, low: int | None = None, high: int | None = None, secret: bool = False
) -> Value:
    """Anything of one of Bicep's types."""
    if kind == "string":
        return Text((Piece(label, low or 0, high, secret=secret),))
    if kind == "int":
        return Whole(low, high, label)
    if kind == "bool":
        return Truth(None, label)
    if kind == "array":
        return Items((), False, label)
    return Fields((), False, label) if kind == "object" else Anything(label, secret)


def _described(label: str, holds: Objects, at: Place) -> Value:
    held = []
    for name, what in holds.items():
        inside = f"{label}.{name}"
        if isinstance(what, dict):
            held.append(Held(name, at, _described(inside, what, at)))
        else:
            held.append(Held(name, at, of_kind(what, inside)))
    return Fields(tuple(held), True, label)


def _changed(change: Callable[[str], str], word: str) -> Callable[[list[Value], str], Value]:
    """A function that keeps the length: toLower, toUpper."""

    def apply(arguments: list[Value], label: str) -> Value:
        def one(value: Value) -> Value:
            if not isinstance(value, Text):
                return Anything(label)
            return Text(tuple(change(each) if isinstance(each, str) else _lettered(each, word) for each in value.parts))

        return choice(*(one(each) for each in each_of(arguments[0])))

    return apply


def _lettered(piece: Piece, word: str) -> Piece:
    return Piece(f"{word}({piece.label})", piece.low, piece.high, piece.unique, piece.secret)


def _replace(arguments: list[Value], label: str) -> Value:
    text, old, new = arguments
    literals = [each.literal for each in (text, old, new) if isinstance(each, Text)]
    if len(literals) == 3 and literals[0] is not None and literals[1] and literals[2] is not None:
        return Text((literals[0].replace(literals[1], literals[2]),))
    piece = as_piece(text, label)
    longer = not (isinstance(new, Text) and isinstance(old, Text) and (new.high or 0) <= old.low)
    return Text((Piece(label, 0, None if longer else piece.high, secret=piece.secret),))


def _take(arguments: list[Value], label: str) -> Value:
    what, count = arguments
    if any(not isinstance(each, Text) for each in each_of(what)):
        return Anything(label) if isinstance(what, Anything | Choice) else of_kind("array", label)
    piece = as_piece(what, label)
    most = count.high if isinstance(count, Whole) else None
    high = min(each for each in (piece.high, most) if each is not None) if (piece.high or most) else None
    low = min(piece.low, most) if most is not None else 0
    return Text((Piece(label, low, high, secret=piece.secret),))


def _union(arguments: list[Value], label: str) -> Value:
    kinds = {type(each) for each in arguments}
    return (
        Fields((), False, label)
        if kinds == {Fields}
        else Items((), False, label)
        if kinds == {Items}
        else Anything(label)
    )


def _concat(arguments: list[Value], label: str) -> Value:
    if all(isinstance(each, Items) for each in arguments):
        return of_kind("array", label)
    if all(isinstance(each, Text) for each in arguments):
        return Text(tuple(part for each in arguments if isinstance(each, Text) for part in each.parts))
    return Anything(label)


def _unique(label: str) -> bool:
    """Only what depends on the group or the subscription differs from everybody else's."""
    return "resourceGroup().id" in label or "subscription()." in label


RESULTS: dict[str, Callable[[list[Value], str], Value]] = {
    "uniqueString": lambda arguments, label: Text((Piece(label, UNIQUE_STRING, UNIQUE_STRING, _unique(label)),)),
    "guid": lambda arguments, label: Text((Piece(label, GUID, GUID, _unique(label)),)),
    "newGuid": lambda arguments, label: Text((Piece(label, GUID, GUID, unique=True),)),
    "toLower": _changed(str.lower, "toLower"),
    "toUpper": _changed(str.upper, "toUpper"),
    "replace": _replace,
    "take": _take,
    "union": _union,
    "concat": _concat,
    "coalesce": lambda arguments, label: choice(*arguments),
    "length": lambda arguments, label: Whole(0, None, label),
}
