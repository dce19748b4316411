"""A whole JSON file from elsewhere, read under a ceiling. Knows nothing about what it should hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from scoring.errors import DataError

MAX_BYTES = 2 * 1024**3  # COCO's own largest file is a quarter of this


def read_json(file: Path, what: str) -> Any:
    """Raises: DataError for a file that is too large or no JSON; `what` names what was expected."""
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise DataError(f"{file}: expected {what} of at most {MAX_BYTES} bytes, found {size}", hint="split the file")
    try:
        return orjson.loads(file.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise DataError(
            f"{file}: expected {what}, found {error}", hint="check the file, and that it is UTF-8"
        ) from None
