"""JSON Lines as a format to import and export: a .jsonl file, a folder with MLTable, or one such folder a part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from model_training.data.drafting import Found
from model_training.data.image_urls import datastore_path, resolve_image
from model_training.data.jsonl import parse_rows, write_rows
from model_training.data.mltable import NAME, read_mltable, write_mltable
from model_training.data.parts import by_part, part_called, part_in_name
from model_training.data.problems import Problem
from model_training.data.rows import Row
from scoring.errors import DataError


def read_jsonl(path: Path, found: Found | None = None) -> Iterator[Row | Problem]:
    """Every row; images beside the file become absolute paths, those in datastores keep their address.

    Raises: NotFoundError; DataError where there is nothing of the kind.
    """
    found = found if found is not None else Found()
    for file, part in jsonl_files(path):
        folders: dict[Path, Path] = {}
        before: Row | None = None  # all problems of one row carry the same row
        after: Row | None = None
        for item in parse_rows(file):
            if isinstance(item, Row):
                yield _imported(_addressed(item, file, folders), file, part, found)
                continue
            if item.row is not before:
                before, after = item.row, _addressed(item.row, file, folders) if item.row else None
            yield replace(item, row=after)


def jsonl_files(path: Path) -> list[tuple[Path, str | None]]:
    """The files of rows, each with its part where the folders or names have any."""
    if path.is_file() or (path / NAME).is_file():
        return [(file, None) for file in read_mltable(path)]
    tables = [child for child in sorted(path.iterdir()) if (child / NAME).is_file()]
    if tables:
        return [(file, part_called(table.name)) for table in tables for file in read_mltable(table)]
    files = sorted(path.glob("*.jsonl"))
    if not files:
        raise DataError(f"{path}: expected a .jsonl file or a folder with {NAME}, found neither", hint="check --format")
    return [(file, part_in_name(file.stem) if len(files) > 1 else None) for file in files]


def _imported(row: Row, file: Path, part: str | None, found: Found) -> Row | Problem:
    pieces = [piece for piece in PurePosixPath(row.file_name).parts if piece not in ("..", "/")]
    wanted = "/".join(pieces)
    name = found.name(wanted, row.image_url, f"{file.parent.name}/{wanted}")
    if name is None:
        return Problem(str(file), 0, f"{row.image_url} has a row already; its labels must stand in one row")
    if part:
        found.parts[name] = part
    return replace(row, file_name=name)


def _addressed(row: Row, file: Path, folders: dict[Path, Path]) -> Row:
    """The row with the absolute path of its image, one spelling an image; `folders` remembers those looked up."""
    if datastore_path(row.image_url) is not None:
        return row
    image = resolve_image(row, file)
    folder = folders.get(image.parent) or folders.setdefault(image.parent, image.parent.resolve())
    return replace(row, image_url=str(folder / image.name))


def place(row: Row, _part: str) -> str:
    return f"images/{row.file_name}"


def write_jsonl(rows: Sequence[Row], folder: Path, parts: Mapping[str, str]) -> list[str]:
    """A folder with MLTable for each part, or one for all, with the images beside them in images/."""
    for part, group in by_part(rows, parts).items():
        name = part or "data"
        home = folder / part
        home.mkdir(parents=True, exist_ok=True)
        up = "../" if part else ""
        write_rows(home / f"{name}.jsonl", (replace(row, image_url=f"{up}{place(row, part)}") for row in group))
        write_mltable(home, f"{name}.jsonl")
    return []
