"""A moment as the SDK or the service writes it, as ours: UTC, ISO 8601. Knows nothing else."""

from __future__ import annotations

import re
from datetime import datetime, timezone


def moment(value: object) -> str:
    """Nothing is "". A time without a zone is UTC, as the service means it."""
    if not value:
        return ""
    found = value if isinstance(value, datetime) else _parsed(str(value))
    if found.tzinfo is None:
        found = found.replace(tzinfo=timezone.utc)
    return found.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _parsed(text: str) -> datetime:
    """The service writes seven digits of a second, Python reads six."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.replace("Z", "+00:00")))
