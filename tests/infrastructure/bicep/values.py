"""What an expression can be when it is deployed, as far as that is known before: literals, lengths, origins.

Two values that are equal are the same in every deployment: `render` is what names and keys are compared by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from tests.infrastructure.bicep.azure_types import Shape
from tests.infrastructure.bicep.finding import Place


@dataclass(frozen=True)
class Value:
    """`at` is where it was made: a literal may come through many modules before it is wrong somewhere."""

    kind: ClassVar[str | None] = None  # Bicep's word for it, where it is known
    at: Place | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True)
class Origin:
    """What was read of a deployed resource: 'id', 'properties.clientId'; `key` names the one resource."""

    what: str
    type: str
    key: str


@dataclass(frozen=True)
class Piece:
    """A stretch of text that only the deployment knows."""

    label: str
    low: int = 0
    high: int | None = None
    unique: bool = False  # differs from one resource group to another
    secret: bool = False
    origin: Origin | None = None


@dataclass(frozen=True)
class Anything(Value):
    label: str
    secret: bool = False


@dataclass(frozen=True)
class Text(Value):
    kind: ClassVar[str | None] = "string"
    parts: tuple[str | Piece, ...]

    @property
    def literal(self) -> str | None:
        texts = [each for each in self.parts if isinstance(each, str)]
        return "".join(texts) if len(texts) == len(self.parts) else None

    @property
    def pieces(self) -> list[Piece]:
        return [each for each in self.parts if isinstance(each, Piece)]

    @property
    def low(self) -> int:
        return sum(len(each) if isinstance(each, str) else each.low for each in self.parts)

    @property
    def high(self) -> int | None:
        sizes = [len(each) if isinstance(each, str) else each.high for each in self.parts]
        known = [each for each in sizes if each is not None]
        return sum(known) if len(known) == len(sizes) else None

    @property
    def origin(self) -> Origin | None:
        """Of a text that is wholly one thing read elsewhere."""
        only = self.parts[0] if len(self.parts) == 1 else None
        return only.origin if isinstance(only, Piece) else None


@dataclass(frozen=True)
class Whole(Value):
    kind: ClassVar[str | None] = "int"
    low: int | None
    high: int | None
    label: str = ""


@dataclass(frozen=True)
class Truth(Value):
    kind: ClassVar[str | None] = "bool"
    value: bool | None
    label: str = ""


@dataclass(frozen=True)
class Nothing(Value):
    """null."""

    kind: ClassVar[str | None] = "null"


@dataclass(frozen=True)
class Items(Value):
    """`exact`: these and no others; otherwise each is like one of these, if there are any."""

    kind: ClassVar[str | None] = "array"
    items: tuple[Value, ...]
    exact: bool
    label: str = ""


DYNAMIC = "*"  # the name of a property whose key is made when it is deployed


@dataclass(frozen=True)
class Held:
    """A property with its place."""

    name: str
    at: Place
    value: Value


@dataclass(frozen=True)
class Fields(Value):
    """`exact`: no other properties than these."""

    kind: ClassVar[str | None] = "object"
    held: tuple[Held, ...]
    exact: bool
    label: str = ""

    def get(self, name: str) -> Held | None:
        return next((each for each in self.held if each.name == name), None)


@dataclass(frozen=True)
class Read(Value):
    """An object that a deployed resource has; `origin` says which part of it."""

    kind: ClassVar[str | None] = "object"
    shape: Shape
    origin: Origin


@dataclass(frozen=True)
class Choice(Value):
    """One of these."""

    values: tuple[Value, ...]


def kind_of(value: Value) -> str | None:
    """Bicep's word for it; None where it is not known."""
    return value.kind


def each_of(value: Value) -> Iterator[Value]:
    """The values that it can be."""
    if isinstance(value, Choice):
        for one in value.values:
            yield from each_of(one)
    else:
        yield value


def choice(*values: Value) -> Value:
    if len(values) == 1:
        return values[0]
    found = list(dict.fromkeys(one for value in values for one in each_of(value)))
    return found[0] if len(found) == 1 else Choice(tuple(found))


def render(value: Value) -> str:
    """The same for the same value, and readable."""
    if isinstance(value, Text):
        return "".join(each if isinstance(each, str) else f"<{each.label}>" for each in value.parts)
    if isinstance(value, Whole):
        return str(value.low) if value.low == value.high and value.low is not None else f"<{value.label}>"
    if isinstance(value, Truth):
        return str(value.value).lower() if value.value is not None else f"<{value.label}>"
    if isinstance(value, Nothing):
        return "null"
    if isinstance(value, Items):
        return f"[{', '.join(map(render, value.items))}]" if value.exact else f"<{value.label}>"
    if isinstance(value, Fields):
        return "{" + ", ".join(f"{each.name}: {render(each.value)}" for each in value.held) + "}" + value.label
    if isinstance(value, Choice):
        return "(" + " or ".join(map(render, value.values)) + ")"
    if isinstance(value, Read):
        return f"<{value.origin.what} of {value.origin.key}>"
    return f"<{getattr(value, 'label', type(value).__name__)}>"


def as_piece(value: Value, label: str | None = None) -> Piece:
    """Any value as a stretch of text, as it is within a string."""
    label = label or render(value).removeprefix("<").removesuffix(">")
    ones = list(each_of(value))
    texts = [one for one in ones if isinstance(one, Text)]
    secret = any(is_secret(one) for one in ones)
    if len(texts) != len(ones):
        low = 1 if all(isinstance(one, Whole | Truth | Text) for one in ones) else 0
        return Piece(label, low, None, secret=secret)
    highs = [one.high for one in texts]
    high = None if None in highs else max(each for each in highs if each is not None)
    unique = all(any(piece.unique for piece in one.pieces) for one in texts)
    return Piece(label, min(one.low for one in texts), high, unique, secret)


def is_secret(value: Value) -> bool:
    """Whether a key, a password or a connection string is in it."""
    if isinstance(value, Text):
        return any(each.secret for each in value.pieces)
    if isinstance(value, Items):
        return any(map(is_secret, value.items))
    if isinstance(value, Fields):
        return any(is_secret(each.value) for each in value.held)
    if isinstance(value, Choice):
        return any(map(is_secret, value.values))
    return isinstance(value, Anything) and value.secret


def of_shape(shape: Shape, origin: Origin) -> Value:
    """What is read of a property of this type."""
    label, raw = f"{origin.what} of {origin.key}", shape.raw
    known = shape.literals
    if shape.kind == "UnionType" and len(known) == len(shape.choices):
        return choice(*(Text((each,)) for each in known))
    if shape.kind in ("StringType", "UnionType"):
        secret = bool(raw.get("sensitive"))
        return Text((Piece(label, raw.get("minLength", 0), raw.get("maxLength"), secret=secret, origin=origin),))
    if shape.kind == "StringLiteralType":
        return Text((raw["value"],))
    if shape.kind == "IntegerType":
        return Whole(raw.get("minValue"), raw.get("maxValue"), label)
    if shape.kind == "BooleanType":
        return Truth(None, label)
    if shape.kind == "ArrayType":
        return Items((), False, label)
    if shape.kind in ("ObjectType", "DiscriminatedObjectType"):
        return Read(shape, origin)
    return Anything(label)
