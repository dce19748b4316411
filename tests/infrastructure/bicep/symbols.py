"""Names of a file: declared once, used somewhere, and put into a text with the dollar that this takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.shapes import Report

BRACES = re.compile(r"(?<!\$)\{([A-Za-z_]\w*)(?:[.\[][^{}]*)?\}")
TARGET_SCOPES = ("resourceGroup", "subscription", "managementGroup", "tenant")
MOST = {"parameters": 256, "variables": 512, "outputs": 64}  # of one file, by Azure


def check_symbols(file: tree.File, report: Report) -> None:
    for at, what in file.refused:
        report(at, "not-understood", f"this check does not understand a {what}; keep to plain declarations")
    _duplicates(file, report)
    _unused(file, report)
    _forgotten_dollar(file, report)
    for each in file.declarations:
        if isinstance(each, tree.Parameter | tree.Output) and each.type.kind is None:
            report(each.at, "unknown-type", f"the type of '{each.name}' is none of string, int, bool, array, object")
    scope = file.target_scope
    if scope is not None and scope.literal not in TARGET_SCOPES:
        report(scope.at, "unknown-value", f"targetScope is one of {', '.join(TARGET_SCOPES)}")
    for kind, most in ((tree.Parameter, MOST["parameters"]), (tree.Variable, MOST["variables"])):
        if sum(isinstance(each, kind) for each in file.declarations) > most:
            report(file.declarations[0].at, "too-many", f"more than {most} {kind.__name__.lower()}s")


def _duplicates(file: tree.File, report: Report) -> None:
    for outputs in (False, True):  # an output may have the name of a parameter
        names = Counter(each.name for each in file.declarations if isinstance(each, tree.Output) == outputs)
        for each in file.declarations:
            if isinstance(each, tree.Output) == outputs and names[each.name] > 1:
                report(each.at, "duplicate", f"'{each.name}' is declared {names[each.name]} times")
    for expression in expressions(file):
        if isinstance(expression, tree.Object):
            counted = Counter(each.name for each in expression.properties if each.name)
            for held in expression.properties:
                if held.name and counted[held.name] > 1:
                    report(held.at, "duplicate", f"'{held.name}' is given {counted[held.name]} times here")


def _unused(file: tree.File, report: Report) -> None:
    used = {each.name for each in expressions(file) if isinstance(each, tree.Name)}
    for each in file.declarations:
        if each.name in used or isinstance(each, tree.Output | tree.Module):
            continue
        if isinstance(each, tree.Resource):
            if each.existing:
                report(each.at, "unused", f"the existing resource '{each.name}' is used nowhere")
        else:
            report(each.at, "unused", f"the {type(each).__name__.lower()} '{each.name}' is used nowhere")
    for loop in (each for each in loops(file)):
        inside = {each.name for each in loop.body.walk() if isinstance(each, tree.Name)}
        names = [name for name in (loop.item, loop.index) if name]
        if not inside & set(names):
            report(loop.at, "unused", f"the loop uses neither {' nor '.join(names)}")


def _forgotten_dollar(file: tree.File, report: Report) -> None:
    """'{name}' where name is a symbol: it stays as it is written."""
    declared = {each.name for each in file.declarations if not isinstance(each, tree.Output)}
    for each in expressions(file):
        if isinstance(each, tree.String):
            for text in (part for part in each.parts if isinstance(part, str)):
                for match in BRACES.finditer(text):
                    if match[1] in declared:
                        report(each.at, "dollar", f"'{match[0]}' is plain text; '${match[0]}' puts '{match[1]}' in")


def roots(file: tree.File) -> Iterator[tuple[tree.Declaration, tree.Expression]]:
    """Every expression that stands by itself, with the declaration it belongs to."""
    for each in file.declarations:
        for decorator in each.decorators:
            for argument in decorator.arguments:
                yield each, argument
        if isinstance(each, tree.Deployed):
            for expression in each.expressions():
                yield each, expression
        elif isinstance(each, tree.Parameter):
            if each.default is not None:
                yield each, each.default
        elif isinstance(each, tree.Variable | tree.Output):
            yield each, each.value


def expressions(file: tree.File) -> Iterator[tree.Expression]:
    for _, root in roots(file):
        yield from root.walk()


def loops(file: tree.File) -> Iterator[tree.Loop]:
    for each in file.declarations:
        if isinstance(each, tree.Deployed) and each.loop:
            yield each.loop
    yield from (each for each in expressions(file) if isinstance(each, tree.Loop))


def references(expression: tree.Expression) -> set[str]:
    return {each.name for each in expression.walk() if isinstance(each, tree.Name)}


def closure(file: tree.File, expression: tree.Expression) -> set[str]:
    """The names in it, and those that its variables are made of."""
    variables = {each.name: each.value for each in file.declarations if isinstance(each, tree.Variable)}
    found: set[str] = set()
    todo = references(expression)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo |= references(variables[name]) if name in variables else set()
    return found
