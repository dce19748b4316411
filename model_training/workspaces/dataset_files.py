"""The folder of one dataset version: what is written in it and how it is read back. Knows nothing about importing.

data.jsonl  MLTable  dataset.json  fingerprints.json  split.json  train.jsonl  validation.jsonl  test.jsonl
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_training.data.jsonl import write_rows
from model_training.data.mltable import write_mltable
from model_training.data.parts import PARTS
from model_training.data.rows import Row
from model_training.data.split import Assignment, SplitOptions, split_sha256
from model_training.workspaces import files
from model_training.workspaces.base import Dataset, Split
from scoring.errors import NotFoundError


@dataclass(frozen=True)
class Contents:
    """All that a new version holds. `rows` have their final `image_url`, content hash, size and format."""

    rows: Sequence[Row]
    task: str
    assignment: Assignment
    options: SplitOptions
    fingerprints: Mapping[str, str]  # content hash to perceptual hash
    description: str = ""
    source: str = ""
    left_out: Sequence[str] = ()
    changed: Sequence[str] = ()


def dataset_sha256(rows: Sequence[Row]) -> str:
    """The labelled content: which picture has which labels. Order, file names and places do not matter."""
    lines = sorted(json.dumps(_canonical(row), ensure_ascii=False) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def write_version(folder: Path, name: str, version: int, contents: Contents, created_at: str) -> None:
    """Fill an empty folder, every file synced; the caller renames it into its place."""
    rows, parts = contents.rows, contents.assignment.parts
    folder.mkdir(parents=True)
    write_rows(folder / "data.jsonl", rows)
    for part in PARTS:
        write_rows(folder / f"{part}.jsonl", [row for row, own in zip(rows, parts, strict=True) if own == part])
    write_mltable(folder, "data.jsonl")
    files.write_json(folder / "fingerprints.json", dict(contents.fingerprints))
    files.write_json(folder / "split.json", _split_json(contents))
    files.write_json(folder / "dataset.json", _dataset_json(name, version, contents, created_at))


def read_dataset(folder: Path) -> Dataset:
    """Raises: NotFoundError when the folder is no dataset version."""
    try:
        value = files.read_json(folder / "dataset.json", "a dataset's description")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"{folder} holds no dataset", hint="`cva data list` shows the datasets") from error
    return parse_dataset(value, folder)


def parse_dataset(value: Mapping[str, Any], folder: Path) -> Dataset:
    """The contents of `dataset.json` as a value; `folder` is where the version lies."""
    fields = {key: value[key] for key in ("name", "version", "sha256", "task", "images", "boxes", "created_at")}
    return Dataset(**fields, labels=tuple(value["labels"]), path=folder, description=value["description"])


def read_split(dataset: Dataset) -> Split:
    value = split_json(dataset.path)
    train, validation, test = (dataset.path / f"{part}.jsonl" for part in PARTS)
    return Split(dataset.reference, value["sha256"], value["seed"], train, validation, test, value["counts"])


def split_json(folder: Path) -> dict[str, Any]:
    return files.read_json(folder / "split.json", "a split")


def split_options(folder: Path) -> SplitOptions:
    value = split_json(folder)
    train, validation, test = value["fractions"]
    return SplitOptions(value["seed"], (train, validation, test), value["group_pattern"])


def details(folder: Path) -> dict[str, Any]:
    """The whole description, with what was left out or changed at import."""
    return files.read_json(folder / "dataset.json", "a dataset's description")


def fingerprints(folder: Path) -> dict[str, str]:
    return files.read_json(folder / "fingerprints.json", "perceptual hashes")


def versions(folder: Path) -> list[int]:
    """Complete versions in a dataset's folder, ascending."""
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit() and path.is_dir())


def _canonical(row: Row) -> list[Any]:
    boxes = sorted(
        [b.label, b.top_x, b.top_y, b.bottom_x, b.bottom_y, b.is_crowd, [list(ring) for ring in b.polygon]]
        for b in row.boxes
    )
    return [row.sha256, boxes, sorted(row.classes), "class" if row.kind.startswith("class") else "boxes"]


def _split_json(contents: Contents) -> dict[str, Any]:
    options, assignment = contents.options, contents.assignment
    return {
        "sha256": split_sha256(contents.rows, assignment.parts),
        "seed": options.seed,
        "fractions": list(options.fractions),
        "group_pattern": options.group_pattern,
        "counts": assignment.counts,
        "notes": assignment.notes,
        "keys": assignment.keys,
    }


def _dataset_json(name: str, version: int, contents: Contents, created_at: str) -> dict[str, Any]:
    rows = contents.rows
    return {
        "schema": 1,
        "name": name,
        "version": version,
        "sha256": dataset_sha256(rows),
        "task": contents.task,
        "labels": sorted({label for row in rows for label in row.labels}),
        "images": len(rows),
        "boxes": sum(len(row.boxes) for row in rows),
        "created_at": created_at,
        "description": contents.description,
        "source": contents.source,
        "left_out": list(contents.left_out),
        "changed": list(contents.changed),
    }
