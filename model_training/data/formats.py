"""The formats that labelled data comes in, one table: how each is read, written and recognised.

    source = read_format("voc", path)
    for item in source.rows: ...        Row or Problem; image_url is the absolute path of a local file
    source.parts, source.notes          complete when the last row has been taken

Knows nothing about workspaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_training.data import coco, csv_table, folders, jsonl_sets, label_studio, voc, yolo
from model_training.data.drafting import Found
from model_training.data.problems import Problem
from model_training.data.rows import Row
from scoring.errors import DataError, NotFoundError, UsageError

Reader = Callable[[Path, Found], Iterator[Row | Problem]]
Writer = Callable[[Sequence[Row], Path, Mapping[str, str]], list[str]]
Place = Callable[[Row, str], str]


@dataclass(frozen=True)
class Format:
    """`place` says where a row's image lies in an exported set; `write` adds the annotations and says what was lost."""

    read: Reader
    write: Writer
    place: Place


FORMATS: dict[str, Format] = {
    "voc": Format(voc.read_voc, voc.write_voc, voc.place),
    "coco": Format(coco.read_coco, coco.write_coco, coco.place),
    "yolo": Format(yolo.read_yolo, yolo.write_yolo, yolo.place),
    "csv": Format(csv_table.read_csv, csv_table.write_csv, csv_table.place),
    "jsonl": Format(jsonl_sets.read_jsonl, jsonl_sets.write_jsonl, jsonl_sets.place),
    "label-studio": Format(label_studio.read_label_studio, label_studio.write_label_studio, label_studio.place),
    "folder": Format(folders.read_folders, folders.write_folders, folders.place),
}


@dataclass(frozen=True)
class ImportSource:
    """`rows` is read once. `parts`: file name -> train, validation, test. `notes`: what was passed over, for people."""

    rows: Iterator[Row | Problem]
    parts: dict[str, str]
    notes: list[str]
    root: Path


def read_format(format: str, path: Path) -> ImportSource:
    """Open labelled data in `format`.

    Raises: UsageError for a format that is not in the table; NotFoundError; while rows are taken, DataError for data
    that is not of this format, which says what it looks like instead.
    """
    reader = format_named(format).read
    path = path.expanduser().absolute()
    if not path.exists():
        raise NotFoundError(f"there is nothing at {path}", hint="check the path")
    found = Found()
    root = path if path.is_dir() else path.parent
    return ImportSource(_rows(reader, format, path, found), found.parts, found.notes, root)


def format_named(name: str) -> Format:
    """Raises: UsageError."""
    if name not in FORMATS:
        raise UsageError(f"expected a format, found {name!r}", hint=f"formats: {', '.join(FORMATS)}")
    return FORMATS[name]


def looks_like(path: Path) -> str | None:
    """The format that data at `path` seems to be in, told by names and the first bytes of JSON files."""
    if path.is_file():
        return _file_looks_like(path)
    if (path / "MLTable").is_file() or any(path.glob("*.jsonl")) or any(path.glob("*/MLTable")):
        return "jsonl"
    if any((voc.voc_base(path) / "Annotations").glob("*.xml")) or any(path.glob("*.xml")):
        return "voc"
    if any((path / name).is_file() for name in ("data.yaml", "data.yml", *yolo.NAMES)):
        return "yolo"
    tables = [*path.glob("*.json"), *path.glob("annotations/*.json"), *path.glob("*/_annotations.coco.json")]
    told = next((told for file in tables if (told := _file_looks_like(file))), None)
    if told:
        return told
    return "csv" if any(path.glob("*.csv")) else None


def _file_looks_like(file: Path) -> str | None:
    kinds = {".jsonl": "jsonl", ".csv": "csv", ".yaml": "yolo", ".yml": "yolo", ".xml": "voc"}
    if file.name == "MLTable":
        return "jsonl"
    if file.suffix != ".json":
        return kinds.get(file.suffix)
    with file.open("rb") as reader:
        start = reader.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        return "label-studio"
    return "coco" if any(key in start for key in (b'"images"', b'"annotations"', b'"categories"')) else None


def _rows(reader: Reader, format: str, path: Path, found: Found) -> Iterator[Row | Problem]:
    """The reader's rows; data that yields none, or is not understood, is told apart from data of another format."""
    empty = True
    try:
        for item in reader(path, found):
            empty = False
            yield item
    except DataError as error:
        raise _wrong_format(format, path, error.message, error.hint) from error
    if empty:
        raise _wrong_format(format, path, f"{path}: expected labelled images as {format}, found none", "check the path")
    if set(found.parts.values()) == {"train"}:
        found.parts.clear()  # all is for training: the data comes without a split


def _wrong_format(format: str, path: Path, message: str, hint: str) -> DataError:
    other = looks_like(path)
    if other and other != format:
        hint = f"this looks like {other}; say --format {other}"
    return DataError(message, hint=hint)
