"""A set of rows as a folder that other tools train from: images and annotations, whole or not at all.

The set is built in a folder beside its place and renamed when it is complete. Knows no format: the table does.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from model_training.data.formats import format_named
from model_training.data.image_folder import header_size
from model_training.data.image_urls import resolve_image
from model_training.data.rows import Row
from scoring.errors import ConflictError, DataError

_UNFIT = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\ud800-\udfff]')  # what some file system or text file cannot hold


@dataclass(frozen=True)
class Exported:
    """`notes`: what the format cannot hold, and which names were changed."""

    folder: Path
    images: int
    notes: tuple[str, ...]


def export(
    rows: Iterable[Row],
    format: str,
    folder: Path,
    parts: Mapping[str, str] | None = None,
    *,
    name: str,
    locate: Callable[[Row], Path] | None = None,
    now: datetime | None = None,
) -> Exported:
    """Write `rows` as `folder`/NAME_YYYYMMDD_HHMMSS. `locate` gives a row's image; without it image_url is a path.

    Raises: UsageError for an unknown format; DataError for an empty set, labels that the format cannot hold, or an
    image that is not there; ConflictError where the folder is there already.
    """
    chosen = format_named(format)
    locate = locate or (lambda row: resolve_image(row, Path("data.jsonl").absolute()))
    target = folder / f"{name}_{now or datetime.now():%Y%m%d_%H%M%S}"
    if target.exists():
        raise ConflictError(f"{target} exists already", hint="wait a second, or give another name")
    named, homes, notes = _renamed(list(rows), parts or {}, locate)
    folder.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder))
    try:
        final = [row for row, _ in named]
        for row, image in named:
            _put(image, building / chosen.place(row, homes.get(row.file_name, "")))
        notes += chosen.write(final, building, homes)
        building.chmod(0o755)
        building.rename(target)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return Exported(target, len(named), tuple(notes))


def _renamed(
    rows: list[Row], parts: Mapping[str, str], locate: Callable[[Row], Path]
) -> tuple[list[tuple[Row, Path]], dict[str, str], list[str]]:
    """Rows under names that fit everywhere, with their images; their parts by these names; notes of what changed."""
    if not rows:
        raise DataError("expected labelled images to export, found none", hint="import some first")
    named: list[tuple[Row, Path]] = []
    homes: dict[str, str] = {}
    taken: set[str] = set()
    changed = [0, 0]
    for row in rows:
        image = locate(row)
        file_name = _free_name(_fit_name(row, image), taken)
        changed[0] += file_name != row.file_name
        if parts:
            homes[file_name] = parts.get(row.file_name, "train")
            changed[1] += row.file_name not in parts
        named.append((_sized(replace(row, file_name=file_name), image), image))
    notes = [f"{changed[0]} images have another name than before"] if changed[0] else []
    return named, homes, notes + ([f"{changed[1]} images of no part are in train"] if changed[1] else [])


def _fit_name(row: Row, image: Path) -> str:
    """The row's file name without what leads elsewhere or is hidden, with the ending of its image."""
    pieces = [
        _fit(piece) for piece in PurePosixPath(row.file_name or image.name).parts if piece not in ("/", "..", ".")
    ]
    name = PurePosixPath(*pieces) if pieces else PurePosixPath("image")
    return str(name) if name.suffix.lower() == image.suffix.lower() else f"{name}{image.suffix}"


def _fit(piece: str) -> str:
    piece = _UNFIT.sub("_", piece)
    return f"_{piece[1:]}" if piece.startswith(".") else piece


def _free_name(name: str, taken: set[str]) -> str:
    """`name`, or with a number: annotations are named without the ending, and some file systems do not tell case."""
    for candidate in _candidates(PurePosixPath(name)):
        key = str(candidate.with_suffix("")).casefold()
        if key not in taken:
            taken.add(key)
            return str(candidate)
    raise AssertionError("there is always a free number")


def _candidates(name: PurePosixPath) -> Iterator[PurePosixPath]:
    yield name
    number = 2
    while True:
        yield name.with_name(f"{name.stem}-{number}{name.suffix}")
        number += 1


def _sized(row: Row, image: Path) -> Row:
    if row.width and row.height:
        return row
    width, height = header_size(image) or (None, None)
    return replace(row, width=width, height=height)


def _put(image: Path, target: Path) -> None:
    """A hard link where the file system can, else a copy; never over another file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise DataError(f"two images would be {target.name}", hint="give them different names")
    try:
        os.link(image.resolve(), target)
    except FileNotFoundError:
        raise DataError(f"expected an image, found nothing: {image}", hint="run `cva data check`") from None
    except OSError:
        shutil.copyfile(image, target)
