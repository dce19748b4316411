"""Many files up or down at once, with progress; what is there already is not moved again. Knows no data sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from model_training.workspaces.azureml.service import Blobs
from model_training.workspaces.base import Event, Reporter
from scoring.errors import ConflictError

AT_ONCE = 8  # small files wait for the network, not for a core
PROGRESS_SECONDS = 5.0
T = TypeVar("T")


def each(items: Sequence[T], move: Callable[[T], object], verb: str, reporter: Reporter) -> None:
    """Call `move` on every item, some at once. The first failure stops what has not begun and is raised."""
    begun = told = time.monotonic()
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        work = [pool.submit(move, item) for item in items]
        try:
            for count, done in enumerate(as_completed(work), 1):
                done.result()
                now = time.monotonic()
                if now - told >= PROGRESS_SECONDS or count == len(work):
                    told = now
                    reporter(_progress(verb, count, len(work), (now - begun) / count * (len(work) - count)))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def upload_new(blobs: Blobs, files: Iterable[tuple[Path, str]], prefix: str, reporter: Reporter) -> None:
    """Upload files that are named by their content, those under `prefix` that are not there yet."""
    wanted = {path: file for file, path in files}
    there = set(blobs.list(prefix))

    def send(path: str) -> None:
        try:
            blobs.upload(wanted[path], path)
        except ConflictError:
            return  # somebody else sent the same bytes meanwhile

    each([path for path in wanted if path not in there], send, "uploaded", reporter)


def upload_folder(blobs: Blobs, folder: Path, prefix: str, last: str) -> None:
    """Every file below `folder`, the one that says that all are there last."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files.sort(key=lambda path: path.relative_to(folder).as_posix() == last)
    for file in files:
        blobs.upload(file, f"{prefix}/{file.relative_to(folder).as_posix()}", overwrite=True)


def _progress(verb: str, done: int, total: int, left: float) -> Event:
    text = f"{verb} {done} of {total} images, {left:.0f} s left"
    return Event("progress", text, {"done": done, "total": total, "seconds_left": round(left, 1)})
