"""The MLTable file of CONTRACTS 2: which JSON Lines files a folder is made of. Does not read rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from scoring.errors import DataError, NotFoundError
from scoring.files import write_bytes

NAME = "MLTable"
MAX_BYTES = 1024 * 1024
_TEXT = """\
$schema: https://azuremlschemas.azureedge.net/latest/MLTable.schema.json
type: mltable
paths:
  - file: {file}
transformations:
  - read_json_lines:
      encoding: utf8
      invalid_lines: error
      include_path_column: false
  - convert_column_types:
      - columns: image_url
        column_type: stream_info
"""


def write_mltable(folder: Path, file: str) -> None:
    """Say that `folder` is the rows of its JSON Lines file `file`."""
    quoted = (
        "'" + f"./{file}".replace("'", "''") + "'"
        if not file.replace(".", "").replace("_", "").isalnum()
        else f"./{file}"
    )
    write_bytes(folder / NAME, _TEXT.format(file=quoted).encode())


def read_mltable(path: Path) -> list[Path]:
    """The JSON Lines files of a folder that holds MLTable, of that file, or `path` itself when it is one of rows.

    Raises: NotFoundError; DataError for an MLTable that names anything but local JSON Lines files.
    """
    table = path / NAME if path.is_dir() else path
    if not table.is_file():
        raise NotFoundError(f"expected {NAME} or a .jsonl file, found neither: {path}", hint="check the path")
    if table.name != NAME:
        return [table]
    named = entries(table.read_bytes()[: MAX_BYTES + 1], table)
    return [file for kind, value in named for file in _files(table, kind, value)]


def entries(data: bytes, table: Path | str) -> list[tuple[str, str]]:
    """What the text of an MLTable names: `file` or `pattern`, and where. `table` is what messages call it.

    Raises: DataError for one that is not of JSON Lines.
    """
    value = _load(data, table)
    paths = value.get("paths")
    steps = value.get("transformations") or []
    if not isinstance(paths, list) or not paths:
        raise _unusable(table, "paths: a list of files")
    if not any("read_json_lines" in (step if isinstance(step, dict) else (step,)) for step in steps):
        raise _unusable(table, "the transformation read_json_lines")
    return [_entry(table, path) for path in paths]


def _load(data: bytes, table: Path | str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(data.decode("utf-8-sig")) if len(data) <= MAX_BYTES else None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _unusable(table, "YAML", str(error).replace("\n", " ")) from None
    if not isinstance(value, dict):
        raise _unusable(table, "a mapping with paths and transformations")
    return value


def _entry(table: Path | str, entry: object) -> tuple[str, str]:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise _unusable(table, "each of paths to be a file or a pattern", repr(entry))
    (kind, value), *_ = entry.items()
    if kind not in ("file", "pattern") or not isinstance(value, str):
        raise _unusable(table, "each of paths to be a local file or pattern", repr(entry))
    return kind, value


def _files(table: Path, kind: str, value: str) -> list[Path]:
    if "://" in value:
        raise _unusable(table, "each of paths to be a local file or pattern", repr({kind: value}))
    found = sorted(table.parent.glob(value.removeprefix("./"))) if kind == "pattern" else [table.parent / value]
    if not found or not all(file.is_file() for file in found):
        raise NotFoundError(f"{table} names {value!r}, and there is no such file", hint="correct paths in it")
    return found


def _unusable(table: Path | str, expected: str, found: str = "") -> DataError:
    return DataError(
        f"{table}: expected {expected}" + (f", found {found}" if found else ""),
        hint="compare it with one that `cva data export --format jsonl` writes",
    )
