"""One image file to its row of `predictions.jsonl` (CONTRACTS 10), and rows to bytes. Knows nothing about folders.

A file that failed has the same row with `error`, and null where nothing is known. The file is read once: what is hashed
is what is decoded.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scoring.detector import Detector
from scoring.errors import CvaError, NotFoundError, StorageError
from scoring.images import ImageLimits
from scoring.scorer import Scored, score_image
from scoring.wire import to_element, to_error_element

Row = dict[str, Any]
UNREADABLE = (-1, -1)  # size and time of a file that is not there


@dataclass(frozen=True)
class Scorer:
    """A detector with all that makes its answers what they are; `model` is what each row says made it."""

    detector: Detector
    model: str
    score_threshold: float | Mapping[str, float] | None = None
    limits: ImageLimits = field(default_factory=ImageLimits)

    def row(self, name: str, path: str) -> tuple[Row, str]:
        """The row, and the mark of the file that it was made from."""
        state, problem = _look(path)
        data = None if problem else _read(path, state[0], self.limits.max_bytes)
        scored = Scored(None, problem) if problem else self._score(Path(path) if data is None else data)
        digest = hashlib.sha256(data).hexdigest() if data is not None else None
        return _row(name, digest, scored, self.detector.labels, self.model), mark(name, state)

    def _score(self, source: bytes | Path) -> Scored:
        return score_image(self.detector, source, limits=self.limits, score_threshold=self.score_threshold)


def to_line(row: Row) -> bytes:
    """UTF-8; a file name that is none (Linux allows any bytes) is escaped as JSON does."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def mark(name: str, state: tuple[int, int]) -> str:
    """What tells that a file is still the one that was scored, without reading it: 32 hexadecimal digits."""
    text = f"{name}\0{state[0]}\0{state[1]}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def file_mark(name: str, path: str) -> str:
    return mark(name, _look(path)[0])


def _row(name: str, digest: str | None, scored: Scored, labels: tuple[str, ...], model: str) -> Row:
    row: Row = {"filename": name, "sha256": digest, "width": None, "height": None, "model": model, "boxes": []}
    times = {"decode": round(scored.decode_ms, 1), "infer": None}
    if scored.found is None:
        error = to_error_element(name, scored.error)["error"] if scored.error else None
        return {**row, "error": error, "ms": times}
    row |= {"width": scored.width, "height": scored.height}
    row["boxes"] = to_element(name, scored.found, labels)["boxes"]
    return {**row, "error": None, "ms": {**times, "infer": round(scored.infer_ms, 1)}}


def _look(path: str) -> tuple[tuple[int, int], CvaError | None]:
    """Bytes and time of the last change in nanoseconds; a pipe or a folder is never opened."""
    try:
        found = os.stat(path)  # noqa: PTH116 (called for every file; a Path each costs more than the call)
    except (OSError, ValueError):
        return UNREADABLE, NotFoundError(f"there is no image {path}", hint="check the path")
    if not stat.S_ISREG(found.st_mode):
        return UNREADABLE, StorageError(f"expected an image file, found something else: {path}", hint="check the path")
    return (found.st_size, found.st_mtime_ns), None


def _read(path: str, size: int, most: int) -> bytes | None:
    """None where the scorer itself will say what is wrong: too large, not readable, too little memory."""
    if size > most:
        return None
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(size + 1)
    except (OSError, MemoryError):
        return None
