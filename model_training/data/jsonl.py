"""JSON Lines of CONTRACTS 2, in and out: one image a line, UTF-8. Every bad line is named, never the first one only.

Reads one line at a time. Does not open images; `resolve_image` says where they are.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import orjson

from model_training.data.image_urls import resolve_image
from model_training.data.problems import Problem, rows_or_raise
from model_training.data.row_json import row_from_json, row_to_json
from model_training.data.rows import Row
from scoring.errors import NotFoundError, StorageError
from scoring.files import write_bytes

__all__ = ["parse_rows", "read_rows", "resolve_image", "write_rows"]

MAX_LINE = 16 * 1024 * 1024  # bytes: a thousand polygons of a thousand points fit
_BOM = b"\xef\xbb\xbf"
_KINDS = {"class": "class", "classes": "classes", "boxes": "boxes", "polygons": "boxes"}  # polygons may mix with boxes
_SAID = {"class": "a class", "classes": "a list of classes", "boxes": "boxes"}


def read_rows(path: Path) -> list[Row]:
    """Every row of the file.

    Raises: DataError that carries every problem; NotFoundError.
    """
    with _collector_paused():
        return rows_or_raise(parse_rows(path), str(path))


def parse_rows(path: Path) -> Iterator[Row | Problem]:
    """Rows and problems in the order of their lines.

    `"label": []` says nothing about its kind; such rows are of the kind of the file's first labelled row, so those
    that come before it wait for it.
    """
    waiting: list[tuple[int, Row | Problem]] = []
    kind = ""
    for number, item in _parsed_lines(path):
        if not kind and isinstance(item, Row) and (item.boxes or item.classes):
            kind = _KINDS[item.kind]
        if not kind:
            waiting.append((number, item))
            continue
        yield from (_of_kind(each, kind, path, line) for line, each in waiting)
        waiting.clear()
        yield _of_kind(item, kind, path, number)
    yield from (item for _, item in waiting)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Replace the file in one step."""
    write_bytes(path, b"".join(orjson.dumps(row_to_json(row)) + b"\n" for row in rows))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Rows hold no cycles, and the collector's walks over a heap that only grows are a third of the reading time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parsed_lines(path: Path) -> Iterator[tuple[int, Row | Problem]]:
    with _opened(path) as file:
        for number, line in _lines(file):
            if line is None:
                yield number, Problem(str(path), number, f"the line is longer than {MAX_LINE} bytes")
            elif line.strip():
                row, reasons = _parse(line)
                yield from ((number, Problem(str(path), number, reason, row)) for reason in reasons)
                if row and not reasons:
                    yield number, row


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None stands for one that is too long, which is passed over without being held."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) <= MAX_LINE:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE)
        yield number, None


def _parse(line: bytes) -> tuple[Row | None, list[str]]:
    try:
        return row_from_json(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        return None, _why_no_json(line, error)


def _why_no_json(line: bytes, error: orjson.JSONDecodeError) -> list[str]:
    """NaN and Infinity are no JSON, though many tools write them: then the reason names the number, not the syntax."""
    try:
        text = line.decode()
    except UnicodeDecodeError as fault:
        return [f"not UTF-8: byte {fault.start + 1} of the line is {line[fault.start]:#04x}"]
    try:
        _, reasons = row_from_json(json.loads(text))
    except (ValueError, RecursionError):
        reasons = []
    return reasons or [f"not JSON: {error.msg} (column {error.colno})"]


def _of_kind(item: Row | Problem, kind: str, path: Path, line: int) -> Row | Problem:
    """`item` as one of a file whose rows are all of `kind`."""
    if not isinstance(item, Row) or _KINDS[item.kind] == kind:
        return item
    if item.labels or kind == "class":
        found = _SAID[_KINDS[item.kind]] if item.labels else "[]"
        reason = f"label: expected {_SAID[kind]} as in the file's first labelled row, found {found}"
        return Problem(str(path), line, reason)
    return replace(item, kind=kind)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise NotFoundError(f"no such file: {path}", hint="give a JSONL file, one image a line") from None
    except IsADirectoryError:
        raise StorageError(f"expected a JSONL file, found a folder: {path}", hint="give the file in it") from None
