"""Whole-number versions of data sets and models: the next one, and who wins when two take it at once. Knows no SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from scoring.errors import ConflictError

Made = TypeVar("Made")
TRIES = 20


def number(version: object) -> int | None:
    """The version as a number; None for what other tools named otherwise ('initial', a date)."""
    text = str(version)
    return int(text) if text.isascii() and text.isdigit() else None


def take_next(existing: Iterable[int], make: Callable[[int], Made], what: str) -> Made:
    """`make` with the version after the greatest; whoever took that one meanwhile keeps it, and the next is tried.

    `make` raises ConflictError for a version that is taken. Raises: ConflictError after many tries.
    """
    first = max(existing, default=0) + 1
    for version in range(first, first + TRIES):
        try:
            return make(version)
        except ConflictError as error:
            last = error
    raise ConflictError(
        f"{what}: versions {first} to {first + TRIES - 1} were all taken by others at the same time",
        hint="try again when fewer register at once",
    ) from last
