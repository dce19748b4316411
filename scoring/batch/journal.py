"""The growing files of a batch in its output folder, and how a killed run is taken up again.

    predictions.jsonl.partial  errors.jsonl.partial   rows in the order of the inputs
    batch.partial                                     what makes the rows what they are, then one mark for each input
    predictions.jsonl  errors.jsonl  batch.json       the same when all is done; batch.json is the last to appear

A mark is written before its row. Resuming walks over the inputs again: while the mark is that of the file as it is now
and the row is there, the row is kept; from the first one that is missing everything is cut off, to be scored anew.
Knows nothing about detectors or CSV.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from scoring.batch.inputs import Item
from scoring.batch.rows import Row, file_mark, to_line
from scoring.errors import ConflictError, IntegrityError
from scoring.files import sync_folder, write_bytes, write_json

SCHEMA = 1
GOOD, BAD = "predictions.jsonl", "errors.jsonl"
STATE, DONE = "batch.partial", "batch.json"
_MARK = 33  # bytes of a mark's line
_HINT = "give another --out, or --overwrite to begin again"

Header = Mapping[str, Any]


@dataclass
class Totals:
    images: int = 0
    failed: int = 0
    boxes: int = 0
    resumed: int = 0  # of the images, those whose rows an earlier run had written

    def count(self, row: Row) -> None:
        self.images += 1
        self.failed += row["error"] is not None
        self.boxes += len(row["boxes"])


class Journal:
    """The growing files, open. `header` is what must be equal for the rows of two runs to stand in one file."""

    def __init__(self, folder: Path, header: Header, *, overwrite: bool = False) -> None:
        """Raises: ConflictError where another run's files are and `overwrite` is not given."""
        self.folder = folder
        self.totals = Totals()
        self._line = _header_line(header)
        self._overwrite = overwrite
        self._digest = hashlib.sha256()
        self._files = contextlib.ExitStack()
        for left in (*folder.glob(".batch.*.tmp"), *folder.glob("*.csv.partial")):  # of a killed run
            left.unlink()
        if not self._is_ours():
            _begin(folder, self._line)
        self._state, self._good, self._bad = (self._opened(name) for name in (STATE, _partial(GOOD), _partial(BAD)))

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def resume(self, inputs: Callable[[], Iterator[Item]]) -> Iterator[Item]:
        """Keep the rows that are there; the items that are left. Raises: ConflictError where the inputs changed."""
        waiting, good, bad = inputs(), _Rows(self._good), _Rows(self._bad)
        try:
            first = self._keep(waiting, good, bad)
        except ConflictError:
            if not self._overwrite:
                raise
            self.totals, self._digest = Totals(), hashlib.sha256()
            self._cut(0, 0)
            return inputs()
        self.totals.resumed = self.totals.images
        self._cut(good.offset, bad.offset)
        return itertools.chain(first, waiting)

    def add(self, row: Row, mark: str) -> None:
        """Written out at once, the mark first: a killed process leaves whole lines in this order, the last one torn."""
        rows = self._good if row["error"] is None else self._bad
        for file, line in ((self._state, f"{mark}\n".encode()), (rows, to_line(row))):
            file.write(line)
            file.flush()
        self._count(mark, row)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Give the files their names. A crash in between is taken up by the next run, which finds all rows there."""
        for file in (self._good, self._bad):
            os.fsync(file.fileno())
        self._files.close()
        for name in (BAD, GOOD):
            (self.folder / _partial(name)).replace(self.folder / name)
        record = {**json.loads(self._line), "inputs_sha256": self._digest.hexdigest(), **facts}
        write_json(self.folder / DONE, record)
        (self.folder / STATE).unlink()
        sync_folder(self.folder)

    def _keep(self, waiting: Iterator[Item], good: _Rows, bad: _Rows) -> list[Item]:
        """Count what is kept; the first item that is not, if any."""
        self._state.seek(len(self._line))
        for item in waiting:
            mark = self._state.read(_MARK)
            if len(mark) < _MARK:
                return [item]
            if mark.strip().decode("ascii", "replace") != file_mark(item.name, item.path):
                raise self._changed(f"{item.name} is another file now, or stands in another place")
            rows = next((rows for rows in (good, bad) if rows.name == item.name), None)
            if rows is None:
                return [item]
            self._count(mark.strip().decode(), rows.take())
        if len(self._state.read(_MARK)) == _MARK:
            raise self._changed(f"there are {self.totals.images} images now, fewer than were scored")
        return []

    def _cut(self, good: int, bad: int) -> None:
        end = len(self._line) + _MARK * self.totals.images
        for file, size in ((self._good, good), (self._bad, bad), (self._state, end)):
            file.seek(size)
            file.truncate()

    def _count(self, mark: str, row: Row) -> None:
        self._digest.update(mark.encode())
        self.totals.count(row)

    def _changed(self, what: str) -> ConflictError:
        return ConflictError(
            f"{self.folder} holds the unfinished predictions of other inputs: {what}",
            hint=_HINT,
        )

    def _is_ours(self) -> bool:
        """There is something to go on with. A run killed while it gave the files their names is one, too."""
        state = self.folder / STATE
        if not state.is_file() or (self.folder / DONE).exists():
            others = [name for name in (GOOD, BAD, DONE) if (self.folder / name).exists()]
            if others and not self._overwrite:
                raise ConflictError(f"{self.folder} holds {', '.join(others)} already", hint=_HINT)
            return False
        with state.open("rb") as file:
            if file.read(len(self._line)) == self._line:
                return True
        if not self._overwrite:
            raise ConflictError(
                f"{self.folder} holds the unfinished predictions of another model or threshold", hint=_HINT
            )
        return False

    def _opened(self, name: str) -> BinaryIO:
        path = self.folder / name
        final = self.folder / name.removesuffix(".partial")
        if not path.exists() and final.exists():
            final.replace(path)
        return self._files.enter_context(path.open("r+b"))


class _Rows:
    """The whole rows of a file, one after the other; a torn or damaged one ends it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.offset = 0  # of the row at the head
        self._next()

    @property
    def name(self) -> str | None:
        return None if self._row is None else self._row["filename"]

    def take(self) -> Row:
        assert self._row is not None
        row, self.offset = self._row, self.offset + self._size
        self._next()
        return row

    def _next(self) -> None:
        line = self._file.readline()
        self._size = len(line)
        self._row = _row(line)


def finished(folder: Path, header: Header) -> dict[str, Any] | None:
    """The record of a batch that is done. Raises: ConflictError where it was another model's or threshold's."""
    try:
        record = json.loads((folder / DONE).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise IntegrityError(f"{folder / DONE} is not JSON: {error}", hint=_HINT) from error
    ours = json.loads(_header_line(header))
    differ = [key for key, value in ours.items() if not isinstance(record, dict) or record.get(key) != value]
    if differ:
        raise ConflictError(f"{folder} holds predictions with another {differ[0]}", hint=_HINT)
    return dict(record)


def check_inputs(folder: Path, record: Mapping[str, Any], items: Iterable[Item]) -> None:
    """Raises: ConflictError where the finished batch had other inputs."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(file_mark(item.name, item.path).encode())
    if digest.hexdigest() != record["inputs_sha256"]:
        raise ConflictError(
            f"{folder} holds the predictions of other inputs, or of files that have changed", hint=_HINT
        )


def _begin(folder: Path, line: bytes) -> None:
    """Empty files; the state comes last, so that where it is the others are."""
    for name in (DONE, STATE):
        (folder / name).unlink(missing_ok=True)
    for name in (GOOD, BAD):
        (folder / _partial(name)).write_bytes(b"")
    write_bytes(folder / STATE, line)


def _header_line(header: Header) -> bytes:
    return json.dumps({"schema": SCHEMA, **header}, ensure_ascii=True, sort_keys=True).encode() + b"\n"


def _row(line: bytes) -> Row | None:
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and {"filename", "error", "boxes"} <= value.keys() else None


def _partial(name: str) -> str:
    return f"{name}.partial"
