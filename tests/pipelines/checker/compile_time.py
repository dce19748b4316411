"""Every `${{ }}`, `$[ ]` and condition where it stands: parsed, its functions and contexts known there.

Looks at the files as written, so that a branch which is never taken is looked at too. Knows no values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.pipelines.checker import expressions
from tests.pipelines.checker.expand import DIRECTIVE, EACH
from tests.pipelines.checker.expressions import Access, Broken, Call, Expression
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Node, Text, texts
from tests.pipelines.checker.parameters import Parameter
from tests.pipelines.checker.predefined import COMPILE_TIME

RULE = "expressions"
RUNS = {"arguments", "bash", "script", "pwsh", "powershell", "inlineScript"}
AT_RUN_TIME = {"variables", "dependencies", "stagedependencies", "pipeline", "resources"}


@dataclass(frozen=True)
class File:
    """One YAML file: what it declares, and the variables that are known before a run."""

    path: str
    document: Node
    parameters: dict[str, Parameter]
    variables: frozenset[str]  # in lower case
    is_pipeline: bool


def check_compile_time(file: File, findings: Findings) -> None:
    used: set[str] = set()
    loops = set(_loops(file.document))
    for key, where in texts(file.document):
        for expression in _parsed(where, findings):
            used |= _check(expression, file, loops, where, findings)
            if file.is_pipeline and key in RUNS:
                _typed_text(expression, file, where, findings)
    for name, parameter in file.parameters.items():
        if name.lower() not in used:
            findings.add(parameter.name, "parameters", f"the parameter '{name}' is used nowhere")


def check_run_time(text: Text, findings: Findings, *, condition: bool) -> Expression | None:
    """A condition, or what stands in `$[ ]`; None when it is broken."""
    known = {**expressions.GENERAL, **(expressions.OF_CONDITIONS if condition else expressions.OF_VARIABLES)}
    try:
        expression = expressions.parse(text)
        _check_calls(expression, known, "in a condition" if condition else "in $[ ]")
    except Broken as error:
        findings.add(text, RULE, f"'{text}': {error}")
        return None
    for part in expressions.parts(expression):
        if isinstance(part, Access) and part.root.lower() not in AT_RUN_TIME:
            findings.add(text, RULE, f"while a pipeline runs there is no '{part.root}'")
    return expression


def _parsed(where: Text, findings: Findings) -> Iterator[Expression]:
    try:
        for inside in expressions.compiled(where):
            if (source := _source(inside)) is not None:
                yield expressions.parse(source)
    except Broken as error:
        findings.add(where, RULE, f"'{where}': {error}")


def _source(inside: str) -> str | None:
    """The expression of a directive, or all of it; None where there is none."""
    match = DIRECTIVE.fullmatch(inside)
    if match is None:
        return inside
    if match[1] in ("else", "insert"):
        if match[2]:
            raise Broken(f"unexpected '{match[2]}' after {match[1]}")
        return None
    if match[1] == "each":
        loop = EACH.fullmatch(match[2])
        if loop is None:
            raise Broken("expected `each NAME in LIST`")
        return loop[2]
    return match[2]


def _loops(document: Node) -> Iterator[str]:
    for _, where in texts(document):
        for match in re.finditer(r"\$\{\{\s*each\s+(\w+)(?:\s*,\s*(\w+))?\s+in\b", where):
            yield from (name.lower() for name in match.groups() if name)


def _check(expression: Expression, file: File, loops: set[str], where: Text, findings: Findings) -> set[str]:
    """Returns the parameters that it uses."""
    used: set[str] = set()
    try:
        _check_calls(expression, expressions.GENERAL, "while templates are expanded")
    except Broken as error:
        findings.add(where, RULE, f"'{where}': {error}")
    for part in expressions.parts(expression):
        if not isinstance(part, Access) or part.root.lower() in loops:
            continue
        root, names = part.root.lower(), [name.lower() for name in part.names()]
        if root == "parameters":
            used |= _check_parameter(names, file, where, findings)
        elif root == "variables":
            if names and names[0] not in COMPILE_TIME | file.variables:
                findings.add(where, RULE, f"the variable '{names[0]}' has no value while templates are expanded")
        else:
            findings.add(where, RULE, f"while templates are expanded there is no '{part.root}'")
    return used


def _check_parameter(names: list[str], file: File, where: Text, findings: Findings) -> set[str]:
    declared = {name.lower() for name in file.parameters}
    if not names:
        return declared
    if names[0] not in declared:
        known = ", ".join(file.parameters) or "none"
        findings.add(where, RULE, f"there is no parameter '{names[0]}'; there are {known}")
    return {names[0]}


def _check_calls(expression: Expression, known: dict[str, tuple[int, int]], where: str) -> None:
    for part in expressions.parts(expression):
        if not isinstance(part, Call):
            continue
        if part.name.lower() not in known:
            raise Broken(f"there is no function {part.name}() {where}")
        fewest, most = known[part.name.lower()]
        if not fewest <= len(part.arguments) <= most:
            raise Broken(f"{part.name}() is called with {len(part.arguments)} arguments")


def _typed_text(expression: Expression, file: File, where: Text, findings: Findings) -> None:
    """What a person types when starting a pipeline would be read by the shell."""
    for part in expressions.parts(expression):
        if isinstance(part, Access) and part.root.lower() == "parameters":
            for name in part.names()[:1]:
                parameter = file.parameters.get(name)
                if parameter and parameter.type == "string" and not parameter.values:
                    findings.add(where, "secrets", f"'{name}' is typed by a person: give it in env, not to a shell")
