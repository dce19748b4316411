"""The keys that callers of the endpoint server show. Read from a file that its owner alone may read; never printed."""

from __future__ import annotations

import hmac
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoring.errors import NotFoundError, UsageError

SHORTEST = 16  # characters
_PREFIX = b"Bearer "


def keys_file() -> Path | None:
    """CVA_KEYS_FILE, if it is set."""
    named = os.environ.get("CVA_KEYS_FILE")
    return Path(named) if named else None


def load_keys(path: Path) -> tuple[bytes, ...]:
    """A JSON list, `{"keys": […]}`, or one key a line; two of them while one is being replaced by the other.

    Raises: NotFoundError, UsageError (others may read the file, no key, a key that is too short).
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no keys file {path}", hint="correct CVA_KEYS_FILE") from error
    if mode & 0o077:
        raise UsageError(f"{path}: expected mode 0600, found {mode:04o}: others may read it", hint=f"chmod 600 {path}")
    keys = _parse(text, path)
    if not keys or any(len(key) < SHORTEST for key in keys):
        raise UsageError(
            f"{path}: expected one key or more, each of {SHORTEST} characters or more",
            hint="make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return tuple(key.encode("utf-8") for key in keys)


def allowed(authorization: str, keys: Sequence[bytes]) -> bool:
    """Compared as bytes, every key each time, in a time that tells nothing about them."""
    shown = authorization.encode("utf-8", "surrogateescape")
    token = shown[len(_PREFIX) :] if shown.startswith(_PREFIX) else b""
    return any([hmac.compare_digest(token, key) for key in keys])


def _parse(text: str, path: Path) -> list[str]:
    if text.lstrip()[:1] not in ("{", "["):
        lines = (line.strip() for line in text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: expected JSON or one key a line") from error
    keys = value.get("keys") if isinstance(value, dict) else value
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise UsageError(f'{path}: expected ["…"] or {{"keys": ["…"]}}')
    return keys
