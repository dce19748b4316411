"""A Bicep file as plain values: declarations and expressions, each with its place. Knows nothing about parsers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.infrastructure.bicep.finding import Place


@dataclass(frozen=True)
class Expression:
    at: Place

    def children(self) -> tuple[Expression, ...]:
        return ()

    def walk(self) -> Iterator[Expression]:
        """Itself and everything in it."""
        yield self
        for child in self.children():
            yield from child.walk()


@dataclass(frozen=True)
class Literal(Expression):
    """A number, true, false or null."""

    value: int | bool | None


@dataclass(frozen=True)
class String(Expression):
    """Text with what is put into it: 'a${b}c' is ('a', b, 'c')."""

    parts: tuple[str | Expression, ...]

    @property
    def literal(self) -> str | None:
        texts = [part for part in self.parts if isinstance(part, str)]
        return "".join(texts) if len(texts) == len(self.parts) else None

    def children(self) -> tuple[Expression, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expression))


@dataclass(frozen=True)
class Name(Expression):
    name: str


@dataclass(frozen=True)
class Member(Expression):
    """`object.name`, and `object['name']`."""

    object: Expression
    name: str
    safe: bool = False  # .?

    def children(self) -> tuple[Expression, ...]:
        return (self.object,)


@dataclass(frozen=True)
class Index(Expression):
    object: Expression
    index: Expression

    def children(self) -> tuple[Expression, ...]:
        return (self.object, self.index)


@dataclass(frozen=True)
class Call(Expression):
    """`name(…)`, or `object.name(…)`: a function of a resource or of a namespace."""

    name: str
    arguments: tuple[Expression, ...]
    object: Expression | None = None

    def children(self) -> tuple[Expression, ...]:
        return ((self.object,) if self.object else ()) + self.arguments


@dataclass(frozen=True)
class Operation(Expression):
    """One or two operands."""

    operator: str
    operands: tuple[Expression, ...]

    def children(self) -> tuple[Expression, ...]:
        return self.operands


@dataclass(frozen=True)
class Ternary(Expression):
    condition: Expression
    yes: Expression
    no: Expression

    def children(self) -> tuple[Expression, ...]:
        return (self.condition, self.yes, self.no)


@dataclass(frozen=True)
class Array(Expression):
    items: tuple[Expression, ...]

    def children(self) -> tuple[Expression, ...]:
        return self.items


@dataclass(frozen=True)
class Property:
    at: Place
    name: str | None  # None: the key is made when it is deployed
    key: Expression | None
    value: Expression


@dataclass(frozen=True)
class Object(Expression):
    properties: tuple[Property, ...]

    def get(self, name: str) -> Property | None:
        return next((each for each in self.properties if each.name == name), None)

    def children(self) -> tuple[Expression, ...]:
        keys = tuple(each.key for each in self.properties if each.key)
        return keys + tuple(each.value for each in self.properties)


@dataclass(frozen=True)
class Loop(Expression):
    """`[for (item, index) in source: body]`."""

    item: str
    index: str | None
    source: Expression
    body: Expression

    def children(self) -> tuple[Expression, ...]:
        return (self.source, self.body)


@dataclass(frozen=True)
class Lambda(Expression):
    names: tuple[str, ...]
    body: Expression

    def children(self) -> tuple[Expression, ...]:
        return (self.body,)


@dataclass(frozen=True)
class TypeName:
    """string, int, bool, array, object, or one of some literals; None where it is not understood."""

    kind: str | None
    nullable: bool = False
    literals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declaration:
    at: Place
    name: str
    decorators: tuple[Call, ...]


@dataclass(frozen=True)
class Parameter(Declaration):
    type: TypeName
    default: Expression | None


@dataclass(frozen=True)
class Variable(Declaration):
    value: Expression


@dataclass(frozen=True)
class Output(Declaration):
    type: TypeName
    value: Expression


@dataclass(frozen=True)
class Deployed(Declaration):
    """A resource or a module: what is deployed, perhaps on a condition, perhaps many times."""

    target: str  # 'type@version', or the module's path
    existing: bool
    loop: Loop | None
    condition: Expression | None
    body: Object

    def expressions(self) -> Iterator[Expression]:
        yield from (each for each in (self.loop and self.loop.source, self.condition, self.body) if each)


@dataclass(frozen=True)
class Resource(Deployed):
    pass


@dataclass(frozen=True)
class Module(Deployed):
    pass


@dataclass(frozen=True)
class File:
    """One .bicep file. `refused` are declarations that this check does not understand."""

    path: str
    target_scope: String | None = None
    declarations: tuple[Declaration, ...] = ()
    refused: tuple[tuple[Place, str], ...] = ()
    syntax: tuple[tuple[Place, str], ...] = field(default=())

    def parameters(self) -> dict[str, Parameter]:
        return {each.name: each for each in self.declarations if isinstance(each, Parameter)}

    def outputs(self) -> dict[str, Output]:
        return {each.name: each for each in self.declarations if isinstance(each, Output)}

    def deployed(self) -> list[Deployed]:
        return [each for each in self.declarations if isinstance(each, Deployed)]
