"""The one rule for names, and the one way to write a moment. Knows no place."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from scoring.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def now() -> str:
    """UTC with microseconds: two promotions in one second still have an order."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def check_name(name: str, what: str) -> str:
    """The one rule for names of datasets, models, experiments and endpoints (CONTRACTS 7). Raises: UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{what} {name!r}: expected 1 to 100 letters, digits, '_', '.' or '-', the first a letter or digit",
            hint="choose another name",
        )
    return name
