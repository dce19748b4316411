"""`predictions.jsonl` as a table for spreadsheets: one line a box. An image without boxes has no line.

Text that a spreadsheet would run as a formula gets an apostrophe in front; the JSONL holds it as it is.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

from scoring.wire import SIDES

HEADER = ("filename", "label", "score", *SIDES)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_table(rows: Path, table: Path) -> None:
    """One row of JSONL in memory at a time; written whole or not at all."""
    temporary = table.with_name(f"{table.name}.partial")
    with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(_lines(rows))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(table)


def _lines(rows: Path) -> Iterator[tuple[object, ...]]:
    with rows.open("rb") as file:
        for line in file:
            row = json.loads(line)
            for box in row["boxes"]:
                sides = (box["box"][side] for side in SIDES)
                yield (_inert(row["filename"]), _inert(box["label"]), box["score"], *sides)


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
