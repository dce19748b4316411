"""The value of a compile-time expression. Knows the functions of expressions.py; succeeded() has no value here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.pipelines.checker.expressions import Access, Broken, Expression, Literal
from tests.pipelines.checker.nodes import plain

Values = Mapping[str, Any]  # a context's name in lower case -> its value


def evaluate(expression: Expression, values: Values) -> Any:
    """What is not there is None, as in Azure Pipelines. Raises: Broken for a function that is not general."""
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, Access):
        found = values.get(expression.root.lower())
        for part in expression.parts:
            found = _member(found, evaluate(part, values))
        return found
    function = FUNCTIONS.get(expression.name.lower())
    if function is None:
        raise Broken(f"{expression.name}() has no value while templates are expanded")
    return function(*(evaluate(each, values) for each in expression.arguments))


def truth(value: Any) -> bool:
    """Null, false, 0 and the empty string are false."""
    return bool(value)


def text(value: Any) -> str:
    """As it is written into a string."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if not isinstance(value, dict | list) else json.dumps(plain(value))


def _member(value: Any, name: Any) -> Any:
    if isinstance(value, list):
        if name == "*":
            return value
        return value[int(name)] if isinstance(name, float) and 0 <= name < len(value) else None
    if not isinstance(value, Mapping):
        return None
    wanted = text(name).lower()
    return next((each for key, each in value.items() if key.lower() == wanted), None)


def _number(value: Any) -> float | None:
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return None


def _equal(left: Any, right: Any) -> bool:
    """The right side becomes what the left one is; letters' case does not matter."""
    if isinstance(left, bool):
        return left == (right if isinstance(right, bool) else truth(right))
    if isinstance(left, int | float):
        return left == _number(right)
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return left is right
    return text(left).lower() == text(right).lower()


def _below(left: Any, right: Any) -> bool:
    if isinstance(left, bool | int | float):
        other = _number(right)
        return other is not None and left < other
    return text(left).lower() < text(right).lower()


def _format(pattern: Any, *values: Any) -> str:
    return text(pattern).format(*(text(value) for value in values))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *each: all(map(truth, each)),
    "or": lambda *each: any(map(truth, each)),
    "xor": lambda a, b: truth(a) != truth(b),
    "not": lambda a: not truth(a),
    "iif": lambda test, a, b: a if truth(test) else b,
    "coalesce": lambda *each: next((value for value in each if value not in (None, "")), None),
    "eq": _equal,
    "ne": lambda a, b: not _equal(a, b),
    "lt": _below,
    "ge": lambda a, b: not _below(a, b),
    "gt": lambda a, b: not _below(a, b) and not _equal(a, b),
    "le": lambda a, b: _below(a, b) or _equal(a, b),
    "in": lambda a, *each: any(_equal(a, value) for value in each),
    "notin": lambda a, *each: not any(_equal(a, value) for value in each),
    "contains": lambda a, b: text(b).lower() in text(a).lower(),
    "containsvalue": lambda a, b: any(_equal(value, b) for value in (a.values() if isinstance(a, dict) else a or ())),
    "startswith": lambda a, b: text(a).lower().startswith(text(b).lower()),
    "endswith": lambda a, b: text(a).lower().endswith(text(b).lower()),
    "format": _format,
    "join": lambda a, b: text(a).join(text(value) for value in b or ()),
    "length": lambda a: len(a if isinstance(a, dict | list) else text(a)),
    "lower": lambda a: text(a).lower(),
    "upper": lambda a: text(a).upper(),
    "trim": lambda a: text(a).strip(),
    "replace": lambda a, b, c: text(a).replace(text(b), text(c)),
    "split": lambda a, b: text(a).split(text(b)),
    "converttojson": lambda a: json.dumps(plain(a)),
}
