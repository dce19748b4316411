"""Syntax errors: what the grammar can't read, and the slips that it reads as something else."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\", "\\'": "'", "\\$": "$"}


def syntax_errors(root: Node, text: str) -> list[tuple[int, str]]:
    """(line, message), the first of each line."""
    found: dict[int, str] = {}
    for line, message in [*_unreadable(root), *_crowded(root)]:
        found.setdefault(line, message)
    return sorted(found.items())


def _unreadable(node: Node) -> Iterator[tuple[int, str]]:
    line = node.start_point[0] + 1
    if node.is_missing:
        yield line, f"a {node.type} is missing"
    elif node.is_error:
        text = (node.text or b"").decode().strip()
        hint = "; Bicep has single quotes only" if '"' in text else ""
        first = text.partition("\n")[0].rstrip()[:60]
        yield line, f"this can't be read: {first!r}{hint}"
    elif node.has_error:
        for child in node.children:
            yield from _unreadable(child)


def _crowded(root: Node) -> Iterator[tuple[int, str]]:
    """Two declarations, or two properties without a comma, on one line: the grammar lets them through."""
    for node in _blocks(root):
        previous = None
        for child in node.children:
            if child.type in ("{", "}", "[", "]"):
                continue
            if child.type == ",":
                previous = None
            elif child.type == "comment" or not child.is_named:
                continue
            else:
                if previous and previous.end_point[0] == child.start_point[0]:
                    yield child.start_point[0] + 1, "two things stand on one line with nothing between them"
                previous = child


def _blocks(node: Node) -> Iterator[Node]:
    if node.type in ("infrastructure", "object", "array"):
        yield node
    for child in node.named_children:
        yield from _blocks(child)


def unescape(text: str) -> str:
    """What an escape in a text stands for."""
    if text.startswith("\\u{"):
        return chr(int(text[3:-1], 16))
    return ESCAPES.get(text, text)
