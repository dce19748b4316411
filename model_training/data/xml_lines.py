"""Small XML documents as a tree that knows its lines, read so that a hostile file costs nothing.

Entity declarations are refused outright (with them goes every expansion bomb and every external file), and size, depth
are bounded. Knows nothing about what the elements mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 32


class XmlFault(ValueError):
    """Why a file is no XML that is read here, and on which line."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.line = reason, line


@dataclass
class Node:
    name: str
    line: int
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def child(self, path: str) -> Node | None:
        """The first element at `path`, names parted by slashes."""
        node: Node | None = self
        for name in path.split("/"):
            node = next((child for child in node.children if child.name == name), None) if node else None
        return node

    def all(self, name: str) -> Iterator[Node]:
        return (child for child in self.children if child.name == name)

    def text_at(self, path: str) -> str | None:
        node = self.child(path)
        return node.text if node else None


def read_xml(path: Path) -> Node:
    """Raises: XmlFault."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise XmlFault(f"expected an annotation of at most {MAX_BYTES} bytes, found more")
    builder = _Builder()
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XmlFault(f"not XML: {expat.ErrorString(error.code)}", error.lineno) from None
    except (ValueError, LookupError) as error:  # an encoding that nobody knows
        if isinstance(error, XmlFault):
            raise
        raise XmlFault(f"not XML: {error}") from None
    return builder.root.children[0]


class _Builder:
    def __init__(self) -> None:
        self.root = Node("", 0)
        self._open = [self.root]
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.EntityDeclHandler = self._entity

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise XmlFault(f"expected at most {MAX_DEPTH} elements within each other", self.parser.CurrentLineNumber)
        node = Node(name, self.parser.CurrentLineNumber)
        self._open[-1].children.append(node)
        self._open.append(node)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _characters(self, text: str) -> None:
        self._open[-1].text += text

    def _entity(self, *_declaration: object) -> None:
        raise XmlFault("declares an entity, which is refused", self.parser.CurrentLineNumber)
