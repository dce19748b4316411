"""Microsoft's own schema of pipelines, which knows every key, and every task with its versions and inputs.

The schema lies in PyPI's check-jsonschema (vendored from azure-pipelines-vscode, MIT). Microsoft's language service
reads the same one, a file at a time as it is written (test_language_service.py lists the seeded faults that it finds);
here the schema is held against expanded pipelines, which finds those and shows what templates are given.
"""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from tests.infrastructure.bicep.finding import Place
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Map, Node, Seq, plain

VARIABLE = r"\$\(|\$\["
PATTERNS = {
    "boolean": rf"^([tT]rue|[fF]alse)$|{VARIABLE}",
    "integer": rf"^\d+$|{VARIABLE}",
    "number": rf"^\d+(\.\d+)?$|{VARIABLE}",
}


def check_schema(document: Map, findings: Findings) -> bool:
    """Whether `document` is valid; it is expanded, so that no expression hides a part of it."""
    errors = _errors(json.dumps(plain(document)))
    for path, message in errors:
        findings.add(_place(document, path), "schema", message)
    return not errors


@cache
def schema() -> dict[str, Any]:
    """Read without importing the package, whose start-up is of no use here."""
    found = importlib.util.find_spec("check_jsonschema")
    folders = found.submodule_search_locations if found else None
    assert folders, "check-jsonschema is not installed: make test does it"
    file = Path(next(iter(folders))) / "builtin_schemas" / "vendor" / "azure-pipelines.json"
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded


@cache
def inputs_of(task: str) -> dict[str, Any]:
    """The inputs of `Name@version`; empty where the schema does not know the task."""
    for branch in schema()["definitions"]["task"]["anyOf"]:
        known = branch.get("properties", {})
        if re.fullmatch(known.get("task", {}).get("pattern", ""), task, re.IGNORECASE):
            found: dict[str, Any] = known["inputs"].get("properties", {})
            return found
    return {}


@cache
def _validator() -> Any:
    return jsonschema_rs.validator_for(_of_strings(schema()))


def _of_strings(node: Any) -> Any:
    """The schema for values that are all strings, as they are for Azure Pipelines; `ignoreCase` as it means it."""
    if isinstance(node, list):
        return [_of_strings(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: value if key == "enum" else _of_strings(value) for key, value in node.items()}
    words = made.pop("enum", None)
    if words is not None:
        made["pattern"] = "^(" + "|".join(re.escape(_word(each)) for each in words) + ")$"
    elif isinstance(made.get("type"), str) and made["type"] in PATTERNS:
        made |= {"type": "string", "pattern": PATTERNS[made["type"]]}
    plain_words = re.fullmatch(r"[\w@^$()|.-]*", made["pattern"]) if isinstance(made.get("pattern"), str) else None
    if plain_words and node.get("ignoreCase") in ("value", "all"):
        made["pattern"] = re.sub(
            "[A-Za-z]", lambda letter: f"[{letter[0].lower()}{letter[0].upper()}]", made["pattern"]
        )
    return made


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def _errors(document: str) -> tuple[tuple[tuple[str | int, ...], str], ...]:
    """Paths and messages; of alternatives the one that came farthest."""
    body = json.loads(document)
    if _validator().is_valid(body):
        return ()
    found = [_nearest(error) for error in _validator().iter_errors(body)]
    return tuple((tuple(error.instance_path), _readable(error.message)) for error in found)


def _readable(message: str) -> str:
    return re.sub(r"\[([a-z])[A-Z]\]", r"\1", message)[:300]


def _nearest(error: Any) -> Any:
    """Of alternatives the one with the fewest errors, then the one that came farthest."""
    branches = [[_nearest(each) for each in branch] for branch in getattr(error.kind, "context", None) or []]
    if not branches:
        return error
    best = min(branches, key=lambda branch: (len(branch), -max(len(each.instance_path) for each in branch)))
    return max(best, key=lambda each: len(each.instance_path))


def _place(node: Node, path: tuple[str | int, ...]) -> Place:
    for part in path:
        if isinstance(node, Seq) and isinstance(part, int):
            node = node[part]
        elif isinstance(node, Map) and isinstance(part, str):
            node = node.get(part, node)
    return node.at
