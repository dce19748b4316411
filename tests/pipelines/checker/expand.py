"""A pipeline with its templates filled in and its `${{ }}` evaluated, as Azure DevOps does it before a run starts.

Knows includes of steps, jobs, stages and variables; `extends` and templates of other repositories are refused.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.pipelines.checker import parameters
from tests.pipelines.checker.evaluate import evaluate, text, truth
from tests.pipelines.checker.expressions import Broken, compiled, parse, spans
from tests.pipelines.checker.findings import Findings
from tests.pipelines.checker.nodes import Map, Node, Seq, Text, items

KINDS = ("steps", "jobs", "stages", "variables")
DEEPEST = 20
DIRECTIVE = re.compile(r"(if|elseif|else|each|insert)\b\s*(.*)", re.DOTALL)
EACH = re.compile(r"([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)?)\s+in\s+(.*)", re.DOTALL)


@dataclass(frozen=True)
class Expander:
    """One file's view: the documents by path, the values of its contexts, where it was included from."""

    documents: Mapping[str, Node]
    findings: Findings
    path: str
    values: dict[str, Any]
    depth: int = 0

    def expand(self, node: Node, key: str = "") -> Node:
        """`key` is the one that the node stands under; it says what may be included."""
        if isinstance(node, Text):
            return self.filled(node)
        if isinstance(node, Seq):
            return Seq(node.at, [each for chain in _chains(node) for each in self._items(chain, key)])
        made = Map(node.at)
        for name, value in self._taken(node):
            made[name] = self.expand(value, name)
        return made

    def filled(self, node: Text) -> Node:
        """With a lone `${{ }}` the value itself, which may be a list; else the text around it."""
        if "${{" not in node:
            return node
        try:
            found = spans(node)
            if len(found) == 1 and found[0][1:] == (0, len(node)):
                return self._node(evaluate(parse(found[0][0]), self.values), node)
            made, last = "", 0
            for inside, begin, end in found:
                made += node[last:begin] + text(evaluate(parse(inside), self.values))
                last = end
            return Text(made + node[last:], node.at)
        except Broken:  # said where every expression is looked at
            return Text("", node.at)

    def _node(self, value: Any, at: Text) -> Node:
        if isinstance(value, Map | Seq):
            return self.expand(value)
        return value if isinstance(value, Text) else Text(text(value), at.at)

    def _items(self, chain: list[Node], key: str) -> list[Node]:
        """What one item of a list becomes, or a chain of them: `if`, `elseif`, `else`."""
        item = chain[0]
        if not isinstance(item, Map):
            made = self.expand(item, key)
            return list(made) if isinstance(made, Seq) and isinstance(item, Text) else [made]
        if _is_directive(item):
            pairs = [pair for each in chain if isinstance(each, Map) for pair in each.pairs()]
            return [made for _, value, inner in self._chosen(pairs) for made in inner._listed(value, key)]
        if key in KINDS and "template" in item:
            return self._included(item, key)
        return [self.expand(item, key)]

    def _listed(self, value: Node, key: str) -> list[Node]:
        made = self.expand(value, key)
        return list(made) if isinstance(made, Seq) else [made]

    def _taken(self, node: Map) -> list[tuple[Text, Node]]:
        """The entries of a mapping, those under a directive that holds among them."""
        found: list[tuple[Text, Node]] = []
        for name, value, inner in self._chosen(node.pairs()):
            if not _directive(name):
                key = inner.filled(name)
                found.append((key if isinstance(key, Text) else name, value))
                continue
            made = inner.expand(value)
            if isinstance(made, Map):
                found += made.pairs()
            elif made:
                self.findings.add(name, "expressions", "what is inserted into a mapping must be a mapping")
        return found

    def _chosen(self, pairs: list[tuple[Text, Node]]) -> list[tuple[Text, Node, Expander]]:
        """Entries that count, each with the contexts it is expanded in: those of `each` know its name."""
        found: list[tuple[Text, Node, Expander]] = []
        taken: bool | None = None  # None: there is no `if` that an `else` could belong to
        for name, value in pairs:
            word, rest = _directive(name) or ("", "")
            if word in ("elseif", "else") and taken is None:
                self.findings.add(name, "expressions", f"{word} without an if before it")
            if word == "each":
                found += [(name, value, inner) for inner in self._each(rest)]
            elif word in ("if", "elseif", "else"):
                holds = not (taken and word != "if") and (word == "else" or self._holds(rest))
                taken = holds or bool(taken and word != "if")
                if holds:
                    found.append((name, value, self))
            else:
                found.append((name, value, self))
            taken = taken if word in ("if", "elseif") else None
        return found

    def _holds(self, condition: str) -> bool:
        try:
            return truth(evaluate(parse(condition), self.values))
        except Broken:
            return True

    def _each(self, rest: str) -> list[Expander]:
        match = EACH.fullmatch(rest)
        if match is None:
            return []
        names = [name.strip().lower() for name in match[1].split(",")]
        try:
            found = evaluate(parse(match[2]), self.values)
        except Broken:
            return []
        if isinstance(found, dict):
            pairs: list[Any] = [{"key": key, "value": value} for key, value in found.items()]
        else:
            pairs = list(found or ())
        return [replace(self, values={**self.values, names[-1]: value}) for value in pairs]

    def _included(self, item: Map, key: str) -> list[Node]:
        """The items of the template, with its own parameters."""
        name = self.expand(item["template"])
        path = included_path(self.path, str(name))
        if path not in self.documents:
            self.findings.add(item, "templates", f"there is no template {path}")
            return []
        if self.depth > DEEPEST:
            self.findings.add(item, "templates", f"{path} includes itself")
            return []
        document = self.documents[path]
        if not isinstance(document, Map) or key not in document:
            self.findings.add(item, "templates", f"{path} has no {key}, so it cannot stand among {key}")
            return []
        for extra in set(item) - {"template", "parameters"}:
            self.findings.add(item, "templates", f"a template is not given '{extra}'; only parameters")
        arguments = self.expand(item.get("parameters", Map(item.at)))
        wanted = parameters.declared(document, self.findings)
        given = parameters.given(wanted, arguments if isinstance(arguments, Map) else Map(item.at), item, self.findings)
        inner = replace(self, path=path, values={**self.values, "parameters": given}, depth=self.depth + 1)
        return items(inner.expand(document[key], key))


def _directive(name: str) -> tuple[str, str] | None:
    """The word and what follows it, of a key like `${{ if … }}`."""
    if not name.startswith("${{"):
        return None
    try:
        inside = compiled(name)
    except Broken:
        return ("if", "")
    match = DIRECTIVE.fullmatch(inside[0]) if len(inside) == 1 else None
    return (match[1], match[2]) if match else None


def _is_directive(item: Node) -> bool:
    return isinstance(item, Map) and bool(item) and all(_directive(name) for name in item)


def _chains(node: Seq) -> Iterator[list[Node]]:
    """The items one by one, but those that are directives with those that follow them."""
    chain: list[Node] = []
    for item in node:
        if chain and not (_is_directive(chain[0]) and _is_directive(item)):
            yield chain
            chain = []
        chain.append(item)
    if chain:
        yield chain


def included_path(path: str, name: str) -> str:
    """Beside the file that names it, or from the repository's root with a slash."""
    joined = name.lstrip("/") if name.startswith("/") else posixpath.join(posixpath.dirname(path), name)
    return posixpath.normpath(joined)
