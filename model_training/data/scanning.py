"""The pass over image files: hash, full decode, perceptual hash, size; resumable, in threads, with progress.

Each finding is appended to a journal, so that a pass that was killed goes on where it stopped. Knows nothing of rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_training.data.hashing import perceptual_hash
from scoring.errors import CvaError, ImageError
from scoring.images import ImageLimits, open_image

PROGRESS_SECONDS = 2.0
_SIGNATURES = {b"\xff\xd8": "jpg", b"\x89P": "png", b"BM": "bmp", b"II": "tif", b"MM": "tif", b"RI": "webp"}


@dataclass(frozen=True)
class Picture:
    """What an image file was found to be; the size is that of the upright image (EXIF applied)."""

    sha256: str
    phash: str
    width: int
    height: int
    format: str


Progress = Callable[[int, int, float], None]  # done, of how many, seconds left


def look_at(data: bytes, limits: ImageLimits) -> Picture:
    """Raises: ImageError for bytes that do not decode within the limits."""
    image = open_image(data, limits)
    return Picture(hashlib.sha256(data).hexdigest(), perceptual_hash(image), image.width, image.height, _kind(data))


def scan(
    paths: Sequence[Path],
    *,
    journal: Path | None = None,
    limits: ImageLimits | None = None,
    progress: Progress | None = None,
) -> dict[Path, Picture | str]:
    """For each path a Picture, or the reason why it is none.

    Raises: OSError from the journal (disk full); what is in it by then is not done again.
    """
    limits = limits or ImageLimits()
    done = _read_journal(journal) if journal else {}
    found: dict[Path, Picture | str] = {}
    work: list[Path] = []
    for path in dict.fromkeys(paths):
        earlier = done.get((str(path), *_stamp(path)))
        if earlier:
            found[path] = earlier
        else:
            work.append(path)
    with _Journal(journal) as log:
        for count, (path, result) in enumerate(_each(work, limits), 1):
            found[path] = result
            if isinstance(result, Picture):
                log.add(path, result)
            if progress:
                log.tell(progress, count, len(work))
    return found


def _each(work: Sequence[Path], limits: ImageLimits) -> Iterator[tuple[Path, Picture | str]]:
    """Results as they come, in order; a failure or an interrupt cancels what has not begun."""

    def one(path: Path) -> tuple[Path, Picture | str]:
        return path, _examine(path, limits)

    with ThreadPoolExecutor(max_workers=cores()) as pool:
        try:
            yield from pool.map(one, work)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _examine(path: Path, limits: ImageLimits) -> Picture | str:
    try:
        return look_at(_read(path, limits), limits)
    except CvaError as error:
        return error.message
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _read(path: Path, limits: ImageLimits) -> bytes:
    with path.open("rb") as file:
        data = file.read(limits.max_bytes + 1)
    if len(data) > limits.max_bytes:
        raise ImageError(
            f"expected at most {limits.max_bytes} bytes, found {path.stat().st_size}", code="image_too_large"
        )
    return data


def _kind(data: bytes) -> str:
    """The usual ending for an image that decoded, so one of these."""
    return _SIGNATURES[data[:2]]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change: another stamp means that the file must be looked at again."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _read_journal(journal: Path) -> Mapping[tuple[str, int, int], Picture]:
    """Findings of an earlier pass; a last line that a kill cut off is passed over."""
    done: dict[tuple[str, int, int], Picture] = {}
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else []
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
            done[(entry["path"], entry["size"], entry["changed"])] = Picture(**entry["picture"])
        except (ValueError, KeyError, TypeError):
            continue
    return done


class _Journal:
    """Appends findings and tells how far it is, at most every `PROGRESS_SECONDS`."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.begun = self.told = time.monotonic()

    def __enter__(self) -> _Journal:
        self.file = self.path.open("a", encoding="utf-8") if self.path else None
        return self

    def __exit__(self, *_: object) -> None:
        if self.file:
            self.file.close()

    def add(self, path: Path, picture: Picture) -> None:
        if self.file:
            size, changed = _stamp(path)
            entry = {"path": str(path), "size": size, "changed": changed, "picture": asdict(picture)}
            self.file.write("\n" + json.dumps(entry))  # the line break first: a cut line before it stays alone

    def tell(self, progress: Progress, count: int, total: int) -> None:
        now = time.monotonic()
        if count == total or now - self.told >= PROGRESS_SECONDS:
            self.told = now
            if self.file:
                self.file.flush()
            progress(count, total, (now - self.begun) / count * (total - count))
