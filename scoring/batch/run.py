"""A batch from inputs to finished files: worker threads score ahead, rows are written in the order of the inputs.

At most a few images a worker are in memory. Knows nothing about arguments, registries or terminals.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.batch.inputs import Item
from scoring.batch.journal import BAD, DONE, GOOD, Header, Journal, Totals, check_inputs, finished
from scoring.batch.rows import Row, Scorer
from scoring.batch.table import write_table
from scoring.errors import LockedError, UsageError

TABLE, LOCK = "predictions.csv", ".batch.lock"
LOOK_AHEAD = 4  # images a worker: enough that one slow image does not leave the others idle

Inputs = Callable[[], Iterator[Item]]
Tell = Callable[[Totals, float], None]  # what is done, and in how many seconds of this run


@dataclass(frozen=True)
class Result:
    """`done_before`: nothing was scored, an earlier run had finished. `seconds` are of this run."""

    totals: Totals
    seconds: float
    done_before: bool
    paths: dict[str, str]


def run_batch(
    scorer: Scorer,
    inputs: Inputs,
    folder: Path,
    header: Header,
    *,
    workers: int,
    table: bool = True,
    overwrite: bool = False,
    tell: Tell = lambda totals, seconds: None,
) -> Result:
    """Score what `inputs` gives, each time anew and in the same order, into `folder`.

    Raises: UsageError (no folder), LockedError, ConflictError (another run's files); what loading and running raise.
    """
    with _alone(folder):
        record = None if overwrite else finished(folder, header)
        if record is not None:
            check_inputs(folder, record, inputs())
            return _done_before(folder, record, table)
        with Journal(folder, header, overwrite=overwrite) as journal:
            left = journal.resume(inputs)
            started = time.perf_counter()
            for row, mark in _in_order(scorer, left, workers):
                journal.add(row, mark)
                tell(journal.totals, time.perf_counter() - started)
            seconds = time.perf_counter() - started
            _tables(folder / f"{GOOD}.partial", folder, table)
            totals = journal.totals
            journal.finish({"images": totals.images, "failed": totals.failed, "boxes": totals.boxes})
        return Result(totals, seconds, False, _paths(folder, table))


def _in_order(scorer: Scorer, items: Iterable[Item], workers: int) -> Iterator[tuple[Row, str]]:
    """The answers in the order of `items`, whichever is ready first."""
    waiting: deque[Future[tuple[Row, str]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="score") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(scorer.row, item.name, item.path))
                if len(waiting) >= LOOK_AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _done_before(folder: Path, record: dict[str, Any], table: bool) -> Result:
    (folder / "batch.partial").unlink(missing_ok=True)
    if table and not (folder / TABLE).exists():
        _tables(folder / GOOD, folder, table)
    images = record["images"]
    totals = Totals(images, record["failed"], record["boxes"], resumed=images)
    return Result(totals, 0.0, True, _paths(folder, table))


def _tables(rows: Path, folder: Path, wanted: bool) -> None:
    """A table that is not wanted must not stay behind from another run."""
    if wanted:
        write_table(rows, folder / TABLE)
    else:
        (folder / TABLE).unlink(missing_ok=True)


def _paths(folder: Path, table: bool) -> dict[str, str]:
    names = {"predictions": GOOD, "errors": BAD, **({"csv": TABLE} if table else {}), "batch": DONE}
    return {kind: str(folder / name) for kind, name in names.items()}


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One run a folder; the system frees the lock when a process dies."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"expected a folder for --out, found a file: {folder}", hint="give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("ab") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise LockedError(f"another batch into {folder} is running", hint="try again when it has ended") from error
        yield


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
