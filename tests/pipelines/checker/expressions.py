"""The expressions of Azure Pipelines, parsed: literals, functions, contexts. Knows the functions, no values.

`${{ }}` is expanded when the pipeline is compiled; `$[ ]` and conditions are evaluated while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Name: fewest and most arguments.
GENERAL = {
    "and": (2, 99), "coalesce": (2, 99), "contains": (2, 2), "containsvalue": (2, 2), "converttojson": (1, 1),
    "endswith": (2, 2), "eq": (2, 2), "format": (1, 99), "ge": (2, 2), "gt": (2, 2), "iif": (3, 3), "in": (2, 99),
    "join": (2, 2), "le": (2, 2), "length": (1, 1), "lower": (1, 1), "lt": (2, 2), "ne": (2, 2), "not": (1, 1),
    "notin": (2, 99), "or": (2, 99), "replace": (3, 3), "split": (2, 2), "startswith": (2, 2), "trim": (1, 1),
    "upper": (1, 1), "xor": (2, 2),
}  # fmt: skip
OF_VARIABLES = {"counter": (0, 2)}
OF_CONDITIONS = {"always": (0, 0), "canceled": (0, 0), "failed": (0, 99), "succeeded": (0, 99)}
OF_CONDITIONS["succeededorfailed"] = (0, 99)

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)*|-?\.\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<sign>[(),.\[\]*]))"
)


class Broken(ValueError):
    """The text is no expression; says why."""


@dataclass(frozen=True)
class Literal:
    value: str | float | bool | None


@dataclass(frozen=True)
class Call:
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Access:
    """`variables['A'].b` is root variables with the parts 'A' and 'b'; `*` is a part too."""

    root: str
    parts: tuple[Expression, ...]

    def names(self) -> list[str]:
        """The parts up to the first that is computed."""
        found: list[str] = []
        for part in self.parts:
            if not isinstance(part, Literal):
                break
            found.append(str(part.value))
        return found


Expression = Literal | Call | Access


def parse(text: str) -> Expression:
    """Raises: Broken."""
    parser = _Parser(_tokens(text))
    found = parser.expression()
    if parser.kind:
        raise Broken(f"unexpected '{parser.value}'")
    return found


def parts(expression: Expression) -> Iterator[Expression]:
    """The expression and all that it is made of."""
    yield expression
    inner = expression.arguments if isinstance(expression, Call) else ()
    inner = expression.parts if isinstance(expression, Access) else inner
    for each in inner:
        yield from parts(each)


def compiled(text: str) -> list[str]:
    """What stands in each `${{ }}` of a text. Raises: Broken where one is not closed."""
    return [inside for inside, _, _ in spans(text)]


def spans(text: str) -> list[tuple[str, int, int]]:
    """What stands in each `${{ }}`, and where it begins and ends; quotes may hold the closing braces."""
    found, at = [], text.find("${{")
    while at >= 0:
        closed = re.compile(r"(?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*\}\}").match(text, at + 3)
        if closed is None:
            raise Broken("${{ is not closed by }}, or a quote is open")
        found.append((text[at + 3 : closed.end() - 2].strip(), at, closed.end()))
        at = text.find("${{", closed.end())
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise Broken(f"unexpected '{text[at:].strip()[0]}' (expressions have functions and no operators)")
        found.append((match.lastgroup or "", match[match.lastgroup or ""]))
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = [*tokens, ("", "")]

    @property
    def kind(self) -> str:
        return self._tokens[0][0]

    @property
    def value(self) -> str:
        return self._tokens[0][1]

    def take(self, expected: str = "") -> str:
        if expected and self.value != expected:
            raise Broken(f"expected '{expected}', found '{self.value or 'the end'}'")
        return self._tokens.pop(0)[1]

    def expression(self) -> Expression:
        if self.kind == "string":
            return Literal(self.take()[1:-1].replace("''", "'"))
        if self.kind == "number":
            number = self.take()
            return Literal(number if number.count(".") > 1 else float(number))
        if self.kind != "name":
            raise Broken(f"expected a value, found '{self.value or 'the end'}'")
        name = self.take()
        if self.value == "(":
            return Call(name, self.arguments())
        if name.lower() in ("true", "false", "null"):
            return Literal({"true": True, "false": False}.get(name.lower()))
        return Access(name, self.parts())

    def arguments(self) -> tuple[Expression, ...]:
        self.take("(")
        found: list[Expression] = []
        while self.value != ")":
            if found:
                self.take(",")
            found.append(self.expression())
        self.take(")")
        return tuple(found)

    def parts(self) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while self.value in (".", "["):
            if self.take() == ".":
                if self.kind != "name" and self.value != "*":
                    raise Broken(f"expected a name after '.', found '{self.value or 'the end'}'")
                found.append(Literal(self.take()))
            else:
                found.append(self.expression())
                self.take("]")
        return tuple(found)
