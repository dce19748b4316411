"""Files that are either whole or not there. Knows nothing about what is in them."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
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


def json_bytes(value: Any) -> bytes:
    """As `write_json` writes it, for what is no file of this machine."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Raises: StorageError for a file that is not a JSON object; FileNotFoundError stays as it is."""
    return parse_json(path.read_bytes(), f"{path}, {what}", hint="run `cva workspace doctor`")


def parse_json(data: bytes, where: str, hint: str = "it was changed by other means: write it again") -> dict[str, Any]:
    """Raises: StorageError for what is not a JSON object in UTF-8."""
    try:
        value = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise StorageError(f"{where}: expected JSON, found something else ({error})", hint=hint) from error
    if not isinstance(value, dict):
        raise StorageError(f"{where}: expected a JSON object", hint=hint)
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


def plain(value: Any) -> Any:
    """The same value as JSON can hold it: undefined numbers become null, paths and the rest their text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    return str(value)
