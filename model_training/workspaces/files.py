"""Files that are either whole or not there. Knows nothing about what is in them."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from scoring.errors import StorageError
from scoring.files import sync_folder

PARTIAL = ".partial-"  # what a killed write leaves; `gc` removes it


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step: readers see the old text or the new one, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f"{PARTIAL}{path.name}-{uuid.uuid4().hex[:8]}"
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any, *, indent: int | None = 1) -> None:
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Raises: StorageError for a file that is not a JSON object; FileNotFoundError stays as it is."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StorageError(
            f"{path}: expected {what} as JSON, found something else ({error})", hint="run `cva workspace doctor`"
        ) from error
    if not isinstance(value, dict):
        raise StorageError(f"{path}: expected {what} as a JSON object", hint="run `cva workspace doctor`")
    return value


def copy_tree(source: Path, target: Path) -> None:
    """Copy the regular files of a folder and fsync every one; links are not followed.

    Raises: StorageError for anything that is neither a file nor a folder.
    """
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        to = target / entry.name
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise StorageError(f"{entry}: expected a plain file or folder", hint="copy the real file there")
        if entry.is_dir():
            copy_tree(entry, to)
        else:
            _copy_file(entry, to)
    sync_folder(target)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
