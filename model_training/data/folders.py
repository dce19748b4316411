"""A folder per class: the folder's name is the label of every image in it. Folders train, val, test above are parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from model_training.data.drafting import Draft, Found
from model_training.data.image_folder import is_image, walk
from model_training.data.parts import SHORT, part_called
from model_training.data.problems import Problem
from model_training.data.row_checks import label_fault
from model_training.data.rows import Row
from model_training.data.writing import require_kinds
from scoring.errors import DataError


def read_folders(path: Path, found: Found | None = None) -> Iterator[Row | Problem]:
    """Every image in a class's folder; other files are passed over with a note.

    Raises: DataError where there is no folder with images in it.
    """
    found = found if found is not None else Found()
    if not path.is_dir():
        raise DataError(f"expected a folder with a folder for each class, found a file: {path}", hint="check the path")
    in_parts = _has_parts(path)
    others, images = [], 0
    for name in walk(path):
        if not is_image(name):
            others.append(name)
            continue
        images += 1
        draft, part = _draft(path, name, in_parts)
        found.claim(draft, path, part)
        yield from draft.finish()
    if not images:
        raise DataError(f"{path}: expected a folder of images for each class, found none", hint="check --format")
    if others:
        found.notes.append(f"{len(others)} files are no images and are passed over, such as {others[0]!r}")


def _has_parts(path: Path) -> bool:
    """Whether train, val, test stand above the classes; a class may be called train too, but holds images itself."""
    tops = [child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")]
    named = bool(tops) and all(part_called(top.name) for top in tops)
    return named and not any(is_image(file.name) for top in tops for file in top.iterdir() if file.is_file())


def _draft(path: Path, name: str, in_parts: bool) -> tuple[Draft, str | None]:
    top, _, rest = name.partition("/")
    part = part_called(top) if in_parts else None
    inner = rest if in_parts else name
    label, _, base = inner.partition("/")
    draft = Draft(str(path / name), path / name, inner, classes=(label,), kind="class")
    if not base:
        draft.fault("expected the image in the folder of its class, found it above")
    elif fault := label_fault(label):
        draft.fault(fault)
    return draft, part


def place(row: Row, part: str) -> str:
    """The image's own name below its class; a label that is no folder's name is refused."""
    require_kinds([row], ("class",), "a folder per class")
    label = row.classes[0]
    if label in ("", ".", "..") or label.startswith(".") or any(mark in label for mark in "/\\\0"):
        raise DataError(f"expected a label that can be a folder's name, found {label!r}", hint="export as jsonl or csv")
    below = f"{label}/{row.file_name.removeprefix(f'{label}/')}"
    return f"{SHORT[part]}/{below}" if part else below


def write_folders(_rows: Sequence[Row], _folder: Path, _parts: Mapping[str, str]) -> list[str]:
    """Nothing beside the images: their places say it all."""
    return []
