"""variable_template.yml: right for the project that reads it, each name used somewhere and explained once."""

from __future__ import annotations

import re
from functools import cache

from model_training.errors import UsageError
from model_training.settings import parse_settings
from tests.infrastructure.bicep.finding import Place
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Map, Node, Text, items
from tests.pipelines.checker.tree import Tree

SETTINGS = "variable_template.yml"
RULE = "settings"


def names_of(document: Node | None) -> frozenset[str]:
    """In lower case."""
    return frozenset(name.lower() for name in _names(document))


def check_settings(tree: Tree, document: Node | None, findings: Findings) -> None:
    text = tree.texts.get(SETTINGS, "")
    try:
        parse_settings(text, source=None)
    except UsageError as error:
        findings.add(Place(SETTINGS, 1), RULE, str(error))
    lines = text.splitlines()
    for name in _names(document):
        if not any(_uses(path, other, name) for path, other in tree.texts.items()):
            findings.add(name, RULE, f"nothing reads {name}")
        if not lines[name.at.line - 2].lstrip().startswith("# ") or "Overridden by:" not in lines[name.at.line - 2]:
            findings.add(name, RULE, f"the comment above {name} says what it is and who overrides it")


def _names(document: Node | None) -> list[Text]:
    found = items(document.get("variables")) if isinstance(document, Map) else []
    return [each["name"] for each in found if isinstance(each, Map) and isinstance(each.get("name"), Text)]


def _uses(path: str, text: str, name: str) -> bool:
    """As a variable of a pipeline, a setting of a script, a parameter of Bicep, an attribute in Python."""
    if path.startswith(".pipelines/scripts/"):
        return name in _asked(text, r"\bsetting (\w+)")
    if path.endswith(".yml"):
        return f"$({name})" in text
    if path == "infrastructure/main.bicep":
        words = name.lower().split("_")
        return words[0] + "".join(map(str.capitalize, words[1:])) in _asked(text, r"(?m)^param (\w+)")
    owner = "self" if path == "model_training/settings.py" else "settings"
    return path.endswith(".py") and name.lower() in _asked(text, rf"\b{owner}\.(\w+)")


@cache
def _asked(text: str, pattern: str) -> frozenset[str]:
    return frozenset(re.findall(pattern, text))
