"""What a person names to the image files meant: files, folders (deep), patterns. One at a time, in a fixed order.

Opens nothing. Holds the names of one folder at a time. Knows nothing about JSONL, datasets or models.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scoring.errors import UsageError

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, slots=True)
class Item:
    """One image to score: the name that its row bears, with forward slashes, and the file to open."""

    name: str
    path: str


def expand(given: Iterable[str], *, skip: Path | None = None) -> Iterator[Item]:
    """Files as they are, folders to the images in them, patterns to what they match; sorted within each.

    What lies in `skip` (the output folder) is left out of folders and patterns; a name that nothing bears is an item
    like any other, which fails when it is opened. Raises: UsageError for a folder or pattern without images, when its
    turn comes.
    """
    for text in given:
        nothing = True
        for item in _one(text, os.path.realpath(skip) if skip else ""):
            nothing = False
            yield item
        if nothing:
            raise UsageError(f"expected images in {text}, found none", hint=f"endings: {' '.join(SUFFIXES)}")


def once(items: Iterable[Item]) -> Iterator[Item]:
    """Each file at its first place only, however often it is named; two links to one file are two files."""
    seen: set[bytes] = set()
    for item in items:
        mark = hashlib.blake2b(_bytes(item.path), digest_size=16).digest()
        if mark not in seen:
            seen.add(mark)
            yield item


def _one(text: str, skip: str) -> Iterator[Item]:
    if Path(text).is_dir():
        yield from _walk(text, skip)
    elif glob.has_magic(text) and not os.path.lexists(text):
        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 (a pattern may be absolute)
        yield from (_item(each) for each in matches if Path(each).is_file() and not _inside(each, skip))
    else:
        yield _item(text)


def _walk(folder: str, skip: str) -> Iterator[Item]:
    """Files and folders by name, so that the order is that of their paths; links to folders are passed over."""
    if skip and os.path.realpath(folder) == skip:
        return
    with os.scandir(folder) as entries:
        # a folder's name ends with the separator: a string is all that is held of each of them
        names = [entry.name + os.sep * entry.is_dir(follow_symlinks=False) for entry in entries if _wanted(entry)]
    names.sort(key=lambda name: name.removesuffix(os.sep), reverse=True)
    while names:
        path = os.path.join(folder, names.pop())  # noqa: PTH118 (a Path each would cost more than the walk)
        if path.endswith(os.sep):
            yield from _walk(path.removesuffix(os.sep), skip)
        else:
            yield _item(path)


def _wanted(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) or (entry.name.lower().endswith(SUFFIXES) and entry.is_file())


def _inside(path: str, skip: str) -> bool:
    return bool(skip) and Path(os.path.realpath(path)).is_relative_to(skip)


def _item(path: str) -> Item:
    name = path if os.sep == "/" else path.replace(os.sep, "/")
    return Item(name.removeprefix("./"), path)


def _bytes(path: str) -> bytes:
    """Absolute, links kept."""
    return os.path.normpath(Path(path).absolute()).encode("utf-8", "backslashreplace")
