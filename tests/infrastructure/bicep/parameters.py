"""Parameters files: JSON that main.bicep takes, and with the settings' part of it, all that it needs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.finding import Place
from tests.infrastructure.bicep.function_results import of_kind
from tests.infrastructure.bicep.modules import fits_parameter
from tests.infrastructure.bicep.shapes import Report
from tests.infrastructure.bicep.values import Fields, Held, Items, Nothing, Text, Truth, Value, Whole

SCHEMA = re.compile(r"https://schema\.management\.azure\.com/schemas/[\d-]+/deploymentParameters\.json#")
KEYS = ("$schema", "contentVersion", "parameters")


def check_parameters(root: Path, path: Path, main: tree.File, settings: dict[str, Any], report: Report) -> None:
    """`settings` are what `cva settings show --for bicep` prints."""
    name, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
    top = Place(name, 1)
    try:
        document = json.loads(text, object_pairs_hook=_no_duplicates)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        report(Place(name, line), "syntax", f"this is not JSON: {error}")
        return
    if not isinstance(document, dict) or not isinstance(document.get("parameters"), dict):
        report(top, "parameters", "a parameters file is an object with $schema, contentVersion and parameters")
        return
    _frame(document, top, report)
    check_values(document["parameters"], main, name, text, report)
    given = {**document["parameters"], **settings["parameters"]}
    for parameter in main.parameters().values():
        if parameter.default is None and not parameter.type.nullable and parameter.name not in given:
            report(top, "missing-parameter", f"neither this file nor the settings give '{parameter.name}'")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a name is given twice among {', '.join(key for key, _ in pairs)}")
    return found


def _frame(document: dict[str, Any], top: Place, report: Report) -> None:
    if not SCHEMA.fullmatch(str(document.get("$schema"))):
        report(top, "parameters", "$schema must be that of deploymentParameters.json")
    if not re.fullmatch(r"\d+(\.\d+){3}", str(document.get("contentVersion"))):
        report(top, "parameters", "contentVersion must be four numbers, 1.0.0.0")
    for key in document:
        if key not in KEYS:
            report(top, "parameters", f"a parameters file has no '{key}'")


def check_values(given: dict[str, Any], main: tree.File, name: str, text: str, report: Report) -> None:
    declared = main.parameters()
    for key, held in given.items():
        at = Place(name, next((n for n, line in enumerate(text.splitlines(), 1) if f'"{key}"' in line), 1))
        if key not in declared:
            report(at, "unknown-parameter", f"{main.path} has no parameter '{key}'")
        elif not isinstance(held, dict) or len(held) != 1 or not held.keys() <= {"value", "reference"}:
            report(at, "parameters", f"'{key}' must be given as {{ \"value\": … }}")
        elif "value" in held:
            if any(each.name == "secure" for each in declared[key].decorators):
                report(at, "secret", f"'{key}' is secure and stands here for all to read")
            fits_parameter(from_json(held["value"], at), declared[key], at, report)


def from_json(value: Any, at: Place) -> Value:
    if value is None:
        return Nothing()
    if isinstance(value, str):
        return Text((value,) if value else (), at=at)
    if isinstance(value, bool):
        return Truth(value)
    if isinstance(value, int):
        return Whole(value, value)
    if isinstance(value, list):
        return Items(tuple(from_json(each, at) for each in value), True)
    if isinstance(value, dict):
        return Fields(tuple(Held(key, at, from_json(each, at)) for key, each in value.items()), True)
    return of_kind("float", str(value))  # Bicep has no fractions
