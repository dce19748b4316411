"""What a parameter can be by its declaration and decorators alone."""

from __future__ import annotations

from pathlib import PurePosixPath

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.function_results import of_kind
from tests.infrastructure.bicep.values import Nothing, Text, Truth, Value, Whole, choice


def declared_value(parameter: tree.Parameter) -> Value:
    """What a parameter can be by its declaration alone."""
    label, bounds = f"{PurePosixPath(parameter.at.path).stem}.{parameter.name}", decorator_numbers(parameter)
    allowed = allowed_values(parameter)
    if allowed:
        return choice(*allowed)
    low = bounds.get("minLength", bounds.get("minValue"))
    high = bounds.get("maxLength", bounds.get("maxValue"))
    secret = any(each.name == "secure" for each in parameter.decorators)
    return of_kind(parameter.type.kind, label, low, high, secret)


def decorator_numbers(declaration: tree.Declaration) -> dict[str, int]:
    found = {}
    for each in declaration.decorators:
        number = each.arguments[0] if each.arguments else None
        if isinstance(number, tree.Operation) and number.operator == "-":
            inner = number.operands[0]
            if isinstance(inner, tree.Literal) and inner.value is not None:
                found[each.name] = -int(inner.value)
        elif isinstance(number, tree.Literal) and number.value is not None:
            found[each.name] = int(number.value)
    return found


def allowed_values(parameter: tree.Parameter) -> list[Value]:
    """Of @allowed, and of a type that is a list of literals."""
    found: list[Value] = [Text((each,)) for each in parameter.type.literals]
    for each in parameter.decorators:
        given = each.arguments[0] if each.name == "allowed" and each.arguments else None
        if isinstance(given, tree.Array):
            found += [literal for item in given.items if (literal := literal_value(item))]
    return found


def literal_value(expression: tree.Expression) -> Value | None:
    if isinstance(expression, tree.String) and expression.literal is not None:
        return Text((expression.literal,) if expression.literal else (), at=expression.at)
    if isinstance(expression, tree.Literal):
        if expression.value is None:
            return Nothing(at=expression.at)
        if isinstance(expression.value, bool):
            return Truth(expression.value, at=expression.at)
        return Whole(expression.value, expression.value, at=expression.at)
    return None
