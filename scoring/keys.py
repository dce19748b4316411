"""The keys that callers show. Read from a file that its owner alone may read; compared in constant time; never printed.

Knows nothing about HTTP beyond the words of one header.
"""

from __future__ import annotations

import hmac
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scoring.errors import NotFoundError, StorageError, UsageError

SHORTEST = 16  # characters
_PREFIX = b"bearer "


def keys_file(environ: Mapping[str, str] | None = None) -> Path | None:
    """CVA_KEYS_FILE, if it is set."""
    named = (os.environ if environ is None else environ).get("CVA_KEYS_FILE")
    return Path(named) if named else None


def load_keys(path: Path) -> tuple[bytes, ...]:
    """A JSON list, `{"keys": […]}`, or one key a line; two of them while one is being replaced by the other.

    Raises: NotFoundError, StorageError, UsageError (others may read the file, no key, a key that is too short).
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no keys file {path}", hint="correct CVA_KEYS_FILE") from error
    except OSError as error:
        raise StorageError(f"cannot read the keys file {path}: {error.strerror}", hint="check who owns it") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: expected text in UTF-8", hint="write one key a line") from error
    if mode & 0o077:
        raise UsageError(f"{path}: expected mode 0600, found {mode:04o}: others may read it", hint=f"chmod 600 {path}")
    keys = _parse(text, path)
    if not keys or any(len(key) < SHORTEST for key in keys):
        raise UsageError(
            f"{path}: expected one key or more, each of {SHORTEST} characters or more",
            hint="make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return tuple(key.encode("utf-8") for key in keys)


def matches(shown: bytes, keys: Sequence[bytes]) -> bool:
    """Compared as bytes, every key each time, in a time that tells nothing about them."""
    return any([hmac.compare_digest(shown, key) for key in keys])


def allowed(authorization: str, keys: Sequence[bytes]) -> bool:
    """`Authorization: Bearer KEY` shows one of the keys."""
    return matches(bearer(authorization.encode("utf-8", "surrogateescape")), keys)


def bearer(authorization: bytes) -> bytes:
    """The key of an Authorization header; the scheme's name in any case (RFC 9110). b"" for another scheme."""
    return authorization[len(_PREFIX) :].strip() if authorization[: len(_PREFIX)].lower() == _PREFIX else b""


def _parse(text: str, path: Path) -> list[str]:
    if text.lstrip()[:1] not in ("{", "["):
        lines = (line.strip() for line in text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"{path}: expected JSON or one key a line") from None  # the cause holds the file's text
    keys = value.get("keys") if isinstance(value, dict) else value
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise UsageError(f'{path}: expected ["…"] or {{"keys": ["…"]}}')
    return keys
