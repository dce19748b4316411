"""A moment as the service or the SDK writes it, as ours: UTC, ISO 8601. Knows nothing else."""

from __future__ import annotations

from datetime import datetime, timezone


def moment(value: object) -> str:
    """\"\" for nothing. A number is MLflow's: milliseconds since 1970."""
    if not value:
        return ""
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, int | float) or str(value).isdigit():
        found = datetime.fromtimestamp(float(str(value)) / 1000, timezone.utc)
    else:
        text = str(value).replace("Z", "+00:00")
        head, dot, rest = text.partition(".")
        if dot:  # the service writes seven digits, datetime reads six
            digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
            text = f"{head}.{digits[:6].ljust(6, '0')}{rest[len(digits) :]}"
        found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        found = found.replace(tzinfo=timezone.utc)
    return found.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
