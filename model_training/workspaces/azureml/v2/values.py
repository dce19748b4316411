"""The SDK's values as plain ones: it answers with enumerations that only look like texts. Knows no call."""

from __future__ import annotations

from enum import Enum


def plain(value: object) -> str:
    """The text of it, "" for nothing."""
    return str(value.value if isinstance(value, Enum) else value or "")
