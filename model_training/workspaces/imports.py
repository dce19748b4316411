"""What every import does before anything is stored: look at each image, check, split. Knows no workspace.

The journal of what was looked at stays when an import is killed, so that the same import goes on there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from model_training.data.duplicates import near_pairs, same
from model_training.data.importing import Import, Locate, Repair, add_pictures, require_usable, take_rows
from model_training.data.problems import Problem
from model_training.data.rows import Row
from model_training.data.scanning import Picture, scan
from model_training.data.split import Assignment, SplitOptions, split_rows
from model_training.workspaces import dataset_files
from model_training.workspaces.base import Dataset, Event, Reporter
from model_training.workspaces.locking import file_lock
from model_training.workspaces.names import check_name
from scoring.errors import ConflictError


@dataclass(frozen=True)
class ImportRequest:
    name: str
    items: Iterable[Row | Problem]
    locate: Locate
    source: str = ""  # where the rows came from, for messages and the record
    task: str = ""  # empty: told by the rows
    parts: Mapping[str, str] = field(default_factory=dict)  # file name to the part that came with the data
    repair: Repair = field(default_factory=Repair)
    reference: bool = False  # leave the images where they are
    split: SplitOptions | None = None  # None: as the version before, or the default
    description: str = ""


@dataclass(frozen=True)
class Imported:
    """`new` is False when the latest version holds the same content already; then that version is returned."""

    dataset: Dataset
    new: bool
    left_out: Sequence[str] = ()  # rows skipped, as asked
    changed: Sequence[str] = ()  # boxes clipped or left out, as asked
    notes: Sequence[str] = ()


@contextmanager
def exclusive(incoming: Path, name: str) -> Iterator[Path]:
    """The name's staging folder, while nobody else here imports under that name. Raises: ConflictError."""
    staging = incoming / check_name(name, "dataset")
    staging.mkdir(parents=True, exist_ok=True)
    try:
        with file_lock(staging.with_name(f"{name}.lock")).hold(timeout=0):
            yield staging
    except ConflictError as error:
        raise ConflictError(
            f"dataset {name!r} is being imported by another process", hint="wait until it has finished"
        ) from error


def look(request: ImportRequest, journal: Path, reporter: Reporter) -> tuple[Import, list[Picture]]:
    """Every row and every image checked; raises when something is bad and nobody asked to leave it out."""
    taken = take_rows(request.items, request.locate, request.repair)

    def progress(done: int, total: int, left: float) -> None:
        text = f"looked at {done} of {total} images, {left:.0f} s left"
        reporter(Event("progress", text, {"done": done, "total": total, "seconds_left": round(left, 1)}))

    found = scan([path for _, path in taken.rows], journal=journal, progress=progress)
    result = add_pictures(taken, found)
    require_usable(result, request.repair, request.source or request.name)
    pictures = (found[path] for _, path in result.rows)
    return result, [picture for picture in pictures if isinstance(picture, Picture)]


def assign(
    rows: Sequence[Row],
    pictures: Sequence[Picture],
    options: SplitOptions,
    kept: Mapping[str, str],
    parts: Mapping[str, str],
) -> Assignment:
    """Every row's part; `kept` are the keys of the version before."""
    lookalikes = near_pairs([picture.phash for picture in pictures])
    return split_rows(rows, options, kept=kept, published=parts, lookalikes=lookalikes)


def described(
    request: ImportRequest,
    result: Import,
    pictures: Sequence[Picture],
    *,
    placed: Sequence[Row],
    task: str,
    assignment: Assignment,
    options: SplitOptions,
) -> dataset_files.Contents:
    """All that the new version holds; `placed` are the rows with their final addresses."""
    return dataset_files.Contents(
        rows=placed,
        task=task,
        assignment=assignment,
        options=options,
        fingerprints={picture.sha256: picture.phash for picture in pictures},
        description=request.description,
        source=request.source,
        left_out=result.problems,
        changed=result.changed,
    )


def redrawn(dataset: Dataset, rows: Sequence[Row], options: SplitOptions) -> dataset_files.Contents:
    """A version's rows with a split that is drawn anew for every image."""
    hashes = dataset_files.fingerprints(dataset.path)
    record = dataset_files.details(dataset.path)
    return dataset_files.Contents(
        rows=rows,
        task=dataset.task,
        assignment=split_rows(rows, options, lookalikes=near_pairs([hashes[row.sha256] for row in rows])),
        options=options,
        fingerprints=hashes,
        **{key: record[key] for key in ("description", "source", "left_out", "changed")},
    )


def unchanged(latest: Dataset, result: Import, request: ImportRequest, options: SplitOptions) -> Imported:
    """The latest version, which holds the same content already; `options` are those of its split."""
    notes = [f"the same content is there already as {latest.reference}; no new version was made"]
    if request.split and request.split != options:
        notes.append(f"its split stays as it is; `cva data split {latest.name} --redo` makes another one")
    return Imported(latest, False, result.problems, result.changed, notes)


def same_notes(rows: Sequence[Row]) -> list[str]:
    groups = same(row.sha256 for row in rows)
    if not groups:
        return []
    first = ", ".join(rows[i].file_name for i in groups[0][:3])
    return [f"{len(groups)} pictures are there more than once (the first: {first}); all stay, in one part each"]
