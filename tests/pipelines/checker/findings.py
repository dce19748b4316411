"""What the rules have found so far; the same thing found in two expansions is one."""

from __future__ import annotations

from tests.infrastructure.bicep.finding import Finding, Place
from tests.pipelines.checker.nodes import Node


class Findings:
    def __init__(self) -> None:
        self._found: set[Finding] = set()

    def add(self, at: Node | Place, rule: str, message: str) -> None:
        """`at` is what is wrong: a value that was read from a file, or its place."""
        self._found.add(Finding(at if isinstance(at, Place) else at.at, rule, message))

    def sorted(self) -> list[Finding]:
        return sorted(self._found)
