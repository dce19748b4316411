"""What `cva batch` is given to images: datasets, MLTable folders and JSONL files by their rows, all else as files.

Reads `image_url` and `file_name` of a row and nothing else, so data without labels will do. Opens no image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.batch.inputs import Item, expand, once
from scoring.errors import DataError

if TYPE_CHECKING:
    from model_training.data.image_urls import Resolver

MAX_PROBLEMS = 100  # lines named in one error


@dataclass(frozen=True)
class Inputs:
    """Called, it gives the images: each time the same ones in the same order, each file once."""

    given: Sequence[str]
    tables: Sequence[Path]  # JSONL files of datasets, after what is given
    skip: Path

    def __call__(self) -> Iterator[Item]:
        items = self._all()
        alone = len(self.given) == 1 and not self.tables and _row_files(Path(self.given[0])) is None
        return items if alone and Path(self.given[0]).is_dir() else once(items)  # a folder holds each file once

    def _all(self) -> Iterator[Item]:
        for text in self.given:
            files = _row_files(Path(text))
            if files is None:
                yield from expand([text], skip=self.skip)
            for file in files or ():
                yield from read_items(file)
        for file in self.tables:
            yield from read_items(file)


def dataset_file(reference: str) -> Path:
    """The JSONL file of a dataset, or of the part that `NAME-test` and the like mean. Raises: NotFoundError."""
    from model_training.workspaces.local.workspace import LocalWorkspace

    return LocalWorkspace.open().datasets.part(reference)[0]


def read_items(file: Path) -> Iterator[Item]:
    """An item a row, named as the row says (`file_name`) or else by the path to open.

    Raises: DataError that names the bad lines, after the good ones.
    """
    from model_training.workspaces.local.workspace import LocalWorkspace

    def resolver(datastore: str, path: str) -> Path:
        return LocalWorkspace.open().datastores.file(datastore, path)

    problems: list[str] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                item = _item(line, file, resolver) if line.strip() else None
            except DataError as error:
                problems.append(f"{file}, line {number}: {error.message}")
                item = None
            if item:
                yield item
            if len(problems) == MAX_PROBLEMS:
                break
    if problems:
        raise DataError(f"{file}: {len(problems)} rows name no image", hint="correct them", problems=problems)


def _item(line: bytes, file: Path, resolver: Resolver) -> Item:
    from model_training.data.image_urls import resolve_image, url_fault
    from model_training.data.rows import Row

    try:
        value: Any = json.loads(line.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg} (column {error.colno})") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"not JSON: {error}") from None
    url = value.get("image_url") if isinstance(value, dict) else None
    fault = url_fault(url) if isinstance(value, dict) else "expected an object with image_url"
    if fault or not isinstance(url, str):
        raise DataError(fault or "")
    path = resolve_image(Row(url), file, resolver)
    name = value.get("file_name")
    return Item(name if isinstance(name, str) and name else path.as_posix(), str(path))


def _row_files(path: Path) -> list[Path] | None:
    """The JSONL files that a path stands for; None where it stands for images."""
    from model_training.data.mltable import NAME, read_mltable

    if path.name == NAME or (path.is_dir() and (path / NAME).is_file()):
        return read_mltable(path)
    return [path] if path.suffix.lower() == ".jsonl" and path.is_file() else None
