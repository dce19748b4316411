"""Parameters: as a file declares them, and as another file gives them. Knows their types, not what they are for."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Map, Node, Seq, Text, items

MOST = 64  # expansions of one pipeline; more choices than that and only each alone is tried
MAPPINGS = {"step", "job", "deployment", "stage"}
LISTS = {"stepList", "jobList", "deploymentList", "stageList", "stringList"}
TYPES = {"string", "number", "boolean", "object", *MAPPINGS, *LISTS}


@dataclass(frozen=True)
class Parameter:
    name: Text
    type: str
    default: Any  # a node, or None
    values: list[Any]

    def value_of(self, given: Any) -> Any:
        """As expressions see it."""
        if self.type == "boolean" and isinstance(given, str):
            return given.lower() == "true"
        if self.type == "number" and isinstance(given, str) and _is_number(given):
            return float(given)
        return given

    def wrong(self, given: Node) -> str:
        """Why it cannot have this value; empty when it can."""
        if not _fits(self.type, given):
            return f"'{self.name}' is of type {self.type}, which {_shown(given)} is not"
        if self.values and isinstance(given, Text) and given not in self.values:
            return f"'{given}' is not among the values of '{self.name}': {', '.join(self.values)}"
        return ""


def declared(document: Node, findings: Findings) -> dict[str, Parameter]:
    """The parameters of a file; what is wrong in their declarations is found here."""
    found: dict[str, Parameter] = {}
    for item in items(document.get("parameters")) if isinstance(document, Map) else []:
        if not isinstance(item, Map) or not isinstance(item.get("name"), Text):
            findings.add(item, "parameters", "a parameter has a name, a type and perhaps a default")
            continue
        parameter = _declared(item, findings)
        if parameter.name in found:
            findings.add(item, "parameters", f"'{parameter.name}' is declared twice")
        found[parameter.name] = parameter
    return found


def _declared(item: Map, findings: Findings) -> Parameter:
    kind, values = item.get("type", "string"), item.get("values")
    if kind not in TYPES:
        findings.add(item, "parameters", f"there is no type '{kind}'; there are {', '.join(sorted(TYPES))}")
    if values is not None and not isinstance(values, Seq):
        findings.add(item, "parameters", "values is a list")
    parameter = Parameter(item["name"], kind, item.get("default"), items(values))
    for value in parameter.values:
        if not _fits(kind, value):
            findings.add(value, "parameters", f"'{value}' is not of type {kind}")
    if parameter.default is not None and (wrong := parameter.wrong(parameter.default)):
        findings.add(parameter.default, "parameters", f"default: {wrong}")
    return parameter


def choices(parameters: dict[str, Parameter]) -> Iterator[dict[str, Any]]:
    """Values that a person could start a pipeline with: every combination of those that are a choice."""
    options = {name: _options(parameter) for name, parameter in parameters.items()}
    if math.prod(map(len, options.values())) <= MOST:
        yield from (dict(zip(options, chosen, strict=True)) for chosen in itertools.product(*options.values()))
        return
    first = {name: each[0] for name, each in options.items()}
    yield from ({**first, name: value} for name, each in options.items() for value in each)


def given(parameters: dict[str, Parameter], arguments: Map, where: Node, findings: Findings) -> dict[str, Any]:
    """What a template's parameters are when it is included with these arguments."""
    for name, value in arguments.items():
        if name not in parameters:
            findings.add(value, "templates", f"the template has no parameter '{name}'; it has {', '.join(parameters)}")
        elif wrong := parameters[name].wrong(value):
            findings.add(value, "templates", wrong)
    for name, parameter in parameters.items():
        if name not in arguments and parameter.default is None:
            findings.add(where, "templates", f"the template's parameter '{name}' has no default and is not given")
    return {name: each.value_of(arguments.get(name, each.default)) for name, each in parameters.items()}


def _options(parameter: Parameter) -> list[Any]:
    if parameter.type == "boolean":
        return [True, False]
    if parameter.values:
        return [parameter.value_of(value) for value in parameter.values]
    if parameter.default is not None:
        return [parameter.value_of(parameter.default)]
    return [Text(f"a-{parameter.name}", parameter.name.at)]


def _fits(kind: str, value: Node) -> bool:
    if kind in MAPPINGS or kind in LISTS:
        return isinstance(value, Map if kind in MAPPINGS else Seq)
    if kind == "object":
        return True
    if not isinstance(value, Text):
        return False
    return kind == "string" or (value.lower() in ("true", "false") if kind == "boolean" else _is_number(value))


def _is_number(value: str) -> bool:
    return bool(re.fullmatch(r"-?\d+(\.\d+)?", value))


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return "a mapping" if isinstance(value, Map) else "a list"
