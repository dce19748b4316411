"""What a stranger's registry says of itself is shown on a device's terminal: only names that are names, and few."""

from __future__ import annotations

import json

import pytest

from scoring.edge.registry import SHOWN, Index
from scoring.errors import NotFoundError


def words_for(names: list[str]) -> str:
    index = Index.parse(json.dumps({"schema": 1, "models": {name: {} for name in names}}).encode(), "there")
    with pytest.raises(NotFoundError) as caught:
        index.resolve("Caps", "latest")
    return str(caught.value)


def test_no_signs_that_a_terminal_obeys() -> None:
    words = words_for(["\x1b]0;gone\x07", "a\nb", "\u202eslac", "Caps2"])
    assert "models: Caps2\n" in words
    assert words.replace("\n", "").isprintable()


def test_not_more_names_than_one_reads() -> None:
    assert "Caps099, ..." not in words_for([f"Caps{i:03}" for i in range(SHOWN)])
    words = words_for([f"Caps1{i:06}" for i in range(100_000)])
    assert f"Caps1{SHOWN - 1:06}, ...\n" in words
    assert len(words) < 1000
