"""Labelled images, decoded once: letterboxed pixels on disk, shared by the trials of a job, and boxes in memory.

Geometry is `scoring.images.letterbox_uint8`'s, the one that is served. Knows nothing about augmentation or models.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model_training.data.jsonl import read_rows, resolve_image
from model_training.data.rows import Row
from model_training.errors import DataError, ImageError, NotFoundError, StorageError
from model_training.evaluation.truth import GroundTruth, ground_truth
from scoring.images import letterbox_uint8, open_image

DISK_SHARE = 0.5  # of what is free; a larger data set is decoded anew at each use


class Pixels(Protocol):
    """Letterboxed images (S, S, 3) uint8 by number."""

    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Examples:
    """`inner` (n, 2): width and height that the image itself takes in the square. Boxes are pixels of the square, xyxy.

    `boxes` and `labels` are for training: crowds and boxes under a pixel are left out. `truth` has everything.
    """

    pixels: Pixels
    inner: NDArray[np.int64]
    boxes: tuple[NDArray[np.float32], ...]
    labels: tuple[NDArray[np.int64], ...]
    truth: tuple[GroundTruth, ...]

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class _Sizes:
    """Pixels of the source and of the image within the square, (n, 2) each: width, height."""

    source: NDArray[np.int64]
    inner: NDArray[np.int64]


def load_examples(jsonl: Path, labels: Sequence[str], size: int, cache: Path) -> Examples:
    """Every row of `jsonl` at `size` pixels. The first to come decodes under a lock, the others read what it left.

    Raises: DataError that lists every image that is missing, damaged or carries an unknown label; StorageError.
    """
    rows = read_rows(jsonl)
    paths = [resolve_image(row, jsonl) for row in rows]
    index = {label: number for number, label in enumerate(labels)}
    _check(rows, index, jsonl)
    pixels, sizes = _pixels(paths, size, cache)
    truth = tuple(
        ground_truth(row, index, width=int(width), height=int(height))
        for row, (width, height) in zip(rows, sizes.source, strict=True)
    )
    wanted = [_trainable(t, inner) for t, inner in zip(truth, sizes.inner, strict=True)]
    return Examples(pixels, sizes.inner, tuple(w[0] for w in wanted), tuple(w[1] for w in wanted), truth)


def _check(rows: Sequence[Row], index: dict[str, int], jsonl: Path) -> None:
    if not rows:
        raise DataError(
            f"{jsonl} holds no images", hint="give a data set with at least one labelled image in each part"
        )
    unknown = sorted({label for row in rows for label in row.labels} - set(index))
    if unknown:
        raise DataError(
            f"{jsonl}: labels that the model does not have: {', '.join(unknown)}", hint=f"it has: {', '.join(index)}"
        )


def _trainable(truth: GroundTruth, inner: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    boxes = (truth.boxes * np.tile(inner, 2)).astype(np.float32)
    keep = ~truth.crowd & ((boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf) >= 1.0)
    return boxes[keep], truth.labels[keep]


def _pixels(paths: Sequence[Path], size: int, cache: Path) -> tuple[Pixels, _Sizes]:
    folder = cache / _key(paths, size)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"{folder.name}.lock"):
            if not folder.is_dir():
                if len(paths) * size * size * 3 > DISK_SHARE * shutil.disk_usage(cache).free:
                    return _Decoded(paths, size), _measure(paths, size)
                _fill(folder, paths, size)
        found = np.load(folder / "sizes.npy")
        return np.load(folder / "pixels.npy", mmap_mode="r"), _Sizes(found[:, :2], found[:, 2:])
    except OSError as error:
        raise StorageError(
            f"cannot keep the decoded images in {cache}: {error}", hint="free some space or give another folder"
        ) from error


def _key(paths: Sequence[Path], size: int) -> str:
    digest = hashlib.sha256(f"letterbox 1 {size}\n".encode())
    for path in paths:
        stat = path.stat() if path.exists() else None
        digest.update(f"{path.resolve()}\t{stat and (stat.st_size, stat.st_mtime_ns)}\n".encode())
    return digest.hexdigest()[:24]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fill(folder: Path, paths: Sequence[Path], size: int) -> None:
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        pixels = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
            partial / "pixels.npy", "w+", np.uint8, (len(paths), size, size, 3)
        )
        _reserve(partial / "pixels.npy")
        sizes, problems = [], []
        for number, path in enumerate(paths):
            try:
                pixels[number], found = _decode(path, size)
                sizes.append(found)
            except (ImageError, NotFoundError) as error:
                problems.append(f"{path}: {error.message}")
        _refuse(problems, len(paths))
        pixels.flush()
        np.save(partial / "sizes.npy", np.array(sizes, np.int64))
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _reserve(path: Path) -> None:
    """Ask for the disk space now: writing to a mapped file on a full disk would kill the process."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _decode(path: Path, size: int) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    image = open_image(path)
    pixels, letterbox = letterbox_uint8(image, (size, size))
    return pixels, (image.width, image.height, letterbox.width, letterbox.height)


def _measure(paths: Sequence[Path], size: int) -> _Sizes:
    found, problems = [], []
    for path in paths:
        try:
            found.append(_decode(path, size)[1])
        except (ImageError, NotFoundError) as error:
            problems.append(f"{path}: {error.message}")
    _refuse(problems, len(paths))
    sizes = np.array(found, np.int64)
    return _Sizes(sizes[:, :2], sizes[:, 2:])


def _refuse(problems: Sequence[str], total: int) -> None:
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:10])
        raise DataError(
            f"{len(problems)} of {total} images cannot be used:\n{listed}",
            hint="repair or remove them; `cva data check` lists them all",
            problems=problems,
        )


@dataclass(frozen=True)
class _Decoded:
    """Decodes at each use: for data sets that are larger than the disk has room for."""

    paths: Sequence[Path]
    size: int

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return _decode(self.paths[index], self.size)[0]
