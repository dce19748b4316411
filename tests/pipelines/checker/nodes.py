"""YAML as Azure Pipelines reads it: every scalar is a string, and everything remembers the line where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from tests.infrastructure.bicep.finding import Place


class Text(str):
    """A scalar."""

    at: Place

    def __new__(cls, value: str, at: Place) -> Text:
        made = super().__new__(cls, value)
        made.at = at
        return made


class Map(dict[str, Any]):
    """A mapping; its keys are Text, its values nodes."""

    def __init__(self, at: Place, pairs: dict[str, Any] | None = None) -> None:
        super().__init__(pairs or {})
        self.at = at

    def pairs(self) -> list[tuple[Text, Node]]:
        """The entries, of which each key knows its line."""
        return [(key, value) for key, value in self.items() if isinstance(key, Text)]


class Seq(list[Any]):
    """A list of nodes."""

    def __init__(self, at: Place, items: list[Any] | None = None) -> None:
        super().__init__(items or [])
        self.at = at


Node = Text | Map | Seq


class NotYaml(ValueError):
    """The file cannot be read; `at` says where."""

    def __init__(self, at: Place, message: str) -> None:
        super().__init__(message)
        self.at = at


@cache
def read(text: str, path: str) -> Node:
    """Raises: NotYaml, also for a key that stands twice in a mapping."""
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise NotYaml(Place(path, line), error.problem or "is not YAML") from error
    if root is None:
        raise NotYaml(Place(path, 1), "is empty")
    return _node(root, path)


def _node(node: yaml.Node, path: str) -> Node:
    at = Place(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return Seq(at, [_node(each, path) for each in node.value])
    if isinstance(node, yaml.MappingNode):
        made = Map(at)
        for key, value in node.value:
            name = _node(key, path)
            if not isinstance(name, Text):
                raise NotYaml(name.at, "a key is a word")
            if name in made:
                raise NotYaml(name.at, f"the key '{name}' stands twice")
            made[name] = _node(value, path)
        return made
    null = node.tag == "tag:yaml.org,2002:null"
    return Text("" if null else node.value, at)


def texts(node: Node, key: str = "") -> Iterator[tuple[str, Text]]:
    """Every scalar below `node`, keys too, each with the nearest key above it ("" of a key)."""
    if isinstance(node, Text):
        yield key, node
    elif isinstance(node, Map):
        for name, value in node.items():
            if isinstance(name, Text):
                yield "", name
            yield from texts(value, name)
    else:
        for value in node:
            yield from texts(value, key)


def maps(node: Node) -> Iterator[Map]:
    """Every mapping below `node`, itself too."""
    if isinstance(node, Map):
        yield node
    if isinstance(node, Map | Seq):
        for value in node.values() if isinstance(node, Map) else node:
            yield from maps(value)


def items(node: Any) -> list[Any]:
    """The items of a list; of anything else none."""
    return list(node) if isinstance(node, Seq) else []


def plain(node: Any) -> Any:
    """The same in strings, dicts and lists."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    return str(node)
