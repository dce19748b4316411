"""The image files under a folder, found by the names that annotations use. Reads headers at most, never pixels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from model_training.data.row_checks import IMAGE_FORMATS

_EXIF_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)  # orientations that swap width and height
_IMAGE_FOLDERS = ("JPEGImages", "images")


class ImageFolder:
    """`root` and all below it. Names are paths with forward slashes, relative to `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every image, sorted."""
        return tuple(sorted(name for name in walk(self.root) if is_image(name)))

    def find(self, name: str, near: Sequence[str] = ("",)) -> str | None:
        """The image that an annotation calls `name`: in a folder of `near`, else the only one whose path ends so.

        A path is matched whole: `a/1.jpg` never finds `b/1.jpg`.
        """
        wanted = PurePosixPath(name.replace("\\", "/"))
        if wanted.is_absolute() or ".." in wanted.parts or not wanted.name or "\0" in name:
            return None
        for folder in near:
            candidate = str(PurePosixPath(folder) / wanted)
            if (self.root / candidate).is_file():
                return candidate
        ending = f"/{wanted}"
        matches = [other for other in self._by_base_name.get(wanted.name, ()) if f"/{other}".endswith(ending)]
        return matches[0] if len(matches) == 1 else None

    def find_stem(self, stem: str, near: Sequence[str] = ("",)) -> str | None:
        """As `find`, with whatever ending an image has."""
        found = (self.find(f"{stem}.{ending}", near) for ending in (*IMAGE_FORMATS, "JPG", "JPEG", "PNG"))
        return next((name for name in found if name), None)

    @cached_property
    def _by_base_name(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for name in self.names:
            index.setdefault(name.rpartition("/")[2], []).append(name)
        return index


def walk(root: Path) -> Iterator[str]:
    """Every file below `root` that is not hidden, as a path relative to it."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(folder).relative_to(root).as_posix()
        yield from (name if inside == "." else f"{inside}/{name}" for name in sorted(files) if not name.startswith("."))


def is_image(name: str) -> bool:
    return PurePosixPath(name).suffix[1:].lower() in IMAGE_FORMATS


def short_name(name: str) -> str:
    """`name` without the folder that only says that images are in it."""
    first, _, rest = name.partition("/")
    return rest if first in _IMAGE_FOLDERS and rest else name


def header_size(path: Path) -> tuple[int, int] | None:
    """Width and height after EXIF orientation, from the header alone; None where there is no readable image."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # no pixels are decoded here
            with Image.open(path) as image:
                turned = image.getexif().get(_EXIF_ORIENTATION) in _TURNED
                return (image.height, image.width) if turned else (image.width, image.height)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
