"""The formats that labelled data comes in, one table, and how each is read. Knows nothing about workspaces.

source = read_format("voc", path)
for item in source.rows: ...        Row or Problem; image_url is the absolute path of a local file
source.parts, source.notes          complete when the last row has been taken
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from model_training.data.drafting import Found
from model_training.data.problems import Problem
from model_training.data.rows import Row
from model_training.data.voc import read_voc
from scoring.errors import NotFoundError, UsageError

Reader = Callable[[Path, Found], Iterator[Row | Problem]]

READERS: dict[str, Reader] = {
    "voc": read_voc,
}


@dataclass(frozen=True)
class ImportSource:
    """`rows` is read once. `parts`: file name -> train, validation, test. `notes`: what was passed over, for people."""

    rows: Iterator[Row | Problem]
    parts: dict[str, str]
    notes: list[str]
    root: Path


def read_format(format: str, path: Path) -> ImportSource:
    """Open labelled data in `format`.

    Raises: UsageError for a format that is not in the table; NotFoundError.
    """
    if format not in READERS:
        raise UsageError(f"expected a format, one of {', '.join(READERS)}; found {format!r}", hint="say --format voc")
    if not path.exists():
        raise NotFoundError(f"nothing there: {path}", hint="check the path")
    path = path.resolve()
    found = Found()
    root = path if path.is_dir() else path.parent
    return ImportSource(READERS[format](path, found), found.parts, found.notes, root)
