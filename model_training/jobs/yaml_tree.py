"""YAML text to plain values that know their line, within limits. Knows nothing about jobs.

Only the safe core of YAML: no tags that build objects, no duplicate keys, few aliases, a small file. Numbers such as
`1e-4`, which YAML 1.1 takes for text, are numbers. A value's `line` counts from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from model_training.jobs.problems import Problems

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
MAX_ALIASES = 100
MAX_VALUES = 10_000  # after aliases are expanded

_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_TAGS = {
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "map", "seq", "timestamp", "merge")
}


@dataclass(frozen=True)
class Value:
    """`data` is None, bool, int, float, str, dict[str, Value] or list[Value]."""

    data: Any
    line: int

    def plain(self) -> Any:
        """The same without lines."""
        if isinstance(self.data, dict):
            return {key: value.plain() for key, value in self.data.items()}
        if isinstance(self.data, list):
            return [value.plain() for value in self.data]
        return self.data

    @property
    def kind(self) -> str:
        """What it is, in words for messages."""
        if isinstance(self.data, dict):
            return "a mapping"
        if isinstance(self.data, list):
            return "a list"
        return "nothing" if self.data is None else f"{self.data!r}"


def parse_yaml(text: str, problems: Problems) -> Value | None:
    """The document's value, or None when `problems` says why not."""
    if len(text.encode()) > MAX_BYTES:
        problems.error(1, f"the file has {len(text.encode())} bytes; at most {MAX_BYTES} are read")
        return None
    try:
        if not _modest(text, problems):
            return None
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.error(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
        return None
    except yaml.reader.ReaderError as error:
        problems.error(text[: error.position].count("\n") + 1, f"not YAML: {error.reason}")
        return None
    if node is None:
        problems.error(1, "the file is empty; expected a job")
        return None
    return _Builder(problems).build(node, 0)


def _modest(text: str, problems: Problems) -> bool:
    """Depth and aliases are counted on the stream of events, before anything is built."""
    depth = aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > MAX_DEPTH or aliases > MAX_ALIASES:
            line = event.start_mark.line + 1 if event.start_mark else 1
            problems.error(line, f"nested deeper than {MAX_DEPTH} or more than {MAX_ALIASES} aliases")
            return False
    return True


class _Builder:
    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.values = 0
        self.refused = False

    def build(self, node: Any, depth: int) -> Value | None:
        value = self._value(node, depth)
        return None if self.refused else value

    def _value(self, node: Any, depth: int) -> Value:
        line = node.start_mark.line + 1
        self.values += 1
        if self.values > MAX_VALUES or depth > MAX_DEPTH:
            if not self.refused:
                self.problems.error(
                    line, f"more than {MAX_VALUES} values after its aliases are expanded, or an endless alias"
                )
            self.refused = True
        if self.refused:
            return Value(None, line)
        if node.tag not in _TAGS:
            self.problems.error(line, f"the tag '{node.tag}' is not allowed in a job file")
            return Value(None, line)
        if isinstance(node, yaml.MappingNode):
            return Value(self._mapping(node, depth), line)
        if isinstance(node, yaml.SequenceNode):
            return Value([self._value(item, depth + 1) for item in node.value], line)
        return Value(_scalar(node), line)

    def _mapping(self, node: Any, depth: int) -> dict[str, Value]:
        own: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        for key_node, value_node in node.value:
            value = self._value(value_node, depth + 1)
            if key_node.tag.endswith(":merge"):
                for part in value.data if isinstance(value.data, list) else [value]:
                    merged = {**(part.data if isinstance(part.data, dict) else {}), **merged}
                continue
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in own:
                line = key_node.start_mark.line + 1
                self.problems.error(line, f"'{key}' is given twice (first on line {own[key].line}); keep one")
            own[key] = value
        return {**merged, **own}


def _scalar(node: Any) -> Any:
    tag = node.tag.rsplit(":", 1)[-1]
    if tag == "str":
        return float(node.value) if node.style is None and _FLOAT.fullmatch(node.value) else node.value
    if tag == "timestamp":
        return node.value
    constructor = yaml.constructor.SafeConstructor()
    return constructor.yaml_constructors[node.tag](constructor, node)
