"""The words by which data says train, validation and test. Knows nothing about how a split is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from model_training.data.rows import Row

PARTS = ("train", "validation", "test")
SHORT = {"train": "train", "validation": "val", "test": "test"}  # as most tools call them
_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_IN_NAME = re.compile(rf"(?:^|[_.-])({'|'.join(_WORDS)})(?:20\d\d)?(?=[_.-]|$)", re.IGNORECASE)


def part_called(word: str) -> str | None:
    """The part that is called `word`, or None."""
    return _WORDS.get(word.strip().lower())


def part_in_name(name: str) -> str | None:
    """The part that a file's name speaks of (`instances_val2017` -> validation), when it is exactly one."""
    found = {_WORDS[word.lower()] for word in _IN_NAME.findall(name)}
    return found.pop() if len(found) == 1 else None


def by_part(rows: Iterable[Row], parts: Mapping[str, str]) -> dict[str, list[Row]]:
    """Rows of each part that has any, in the order of PARTS; those of no part last, under an empty name."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(parts.get(row.file_name, ""), []).append(row)
    return {part: grouped[part] for part in (*PARTS, "") if part in grouped}
