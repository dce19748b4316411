"""Where something stands in a file, and what is wrong there. Knows nothing about Bicep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file; the path is relative to the root that is checked."""

    path: str
    line: int  # from 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong, the rule that says so, and where."""

    place: Place
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message} [{self.rule}]"


def a(kind: str | None) -> str:
    """A type with its article, for messages."""
    return f"{'an' if (kind or 'x')[0] in 'aio' else 'a'} {kind or 'value'}"
