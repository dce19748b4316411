"""One import from rows to a dataset version: look at every image, check, split, store, publish with one rename.

Killed at any point it leaves no version; the journal of what was looked at stays, so the same import goes on there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from model_training.data.duplicates import near_pairs, same
from model_training.data.importing import Import, Locate, Repair, add_pictures, require_usable, take_rows, task_of
from model_training.data.problems import Problem
from model_training.data.rows import Row
from model_training.data.scanning import Picture, cores, scan
from model_training.data.split import Assignment, SplitOptions, split_rows
from model_training.workspaces import dataset_files
from model_training.workspaces.base import Dataset, Event, Reporter
from model_training.workspaces.local.layout import Layout
from model_training.workspaces.local.locking import file_lock
from model_training.workspaces.local.store import ImageStore
from model_training.workspaces.names import check_name, now
from scoring.errors import ConflictError
from scoring.files import sync_folder

INCOMING = ".incoming"


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


def import_dataset(layout: Layout, request: ImportRequest, reporter: Reporter) -> Imported:
    """Raises: DataError (bad rows), ConflictError (the same name is being imported), OSError (disk full)."""
    with exclusive(layout, request.name) as staging:
        result, pictures = _look(request, staging / "journal.jsonl", reporter)
        rows = [row for row, _ in result.rows]
        task = request.task or task_of(rows)
        latest = latest_version(layout, request.name)
        if latest and latest.sha256 == dataset_files.dataset_sha256(rows):
            shutil.rmtree(staging)
            return Imported(latest, False, result.problems, result.changed, _unchanged_notes(latest, request))
        options = request.split or (dataset_files.split_options(latest.path) if latest else SplitOptions())
        assignment = _assign(rows, pictures, options, latest, request.parts)
        contents = dataset_files.Contents(
            rows=_placed(layout, result, request.reference),
            task=task,
            assignment=assignment,
            options=options,
            fingerprints={p.sha256: p.phash for p in pictures},
            description=request.description,
            source=request.source,
            left_out=result.problems,
            changed=result.changed,
        )
        dataset = publish(layout, request.name, contents)
        shutil.rmtree(staging)
    return Imported(dataset, True, result.problems, result.changed, [*assignment.notes, *_same_notes(rows)])


def publish(layout: Layout, name: str, contents: dataset_files.Contents) -> Dataset:
    """Write the next version aside, then rename it into its place. The caller holds the name's lock."""
    folder = layout.datasets / name
    version = max(dataset_files.versions(folder), default=0) + 1
    staged = layout.datasets / INCOMING / name / "version"
    shutil.rmtree(staged, ignore_errors=True)
    dataset_files.write_version(staged, name, version, contents, now())
    folder.mkdir(parents=True, exist_ok=True)
    staged.rename(folder / str(version))
    sync_folder(folder)
    return dataset_files.read_dataset(folder / str(version))


@contextmanager
def exclusive(layout: Layout, name: str) -> Iterator[Path]:
    """The name's staging folder, while nobody else imports under that name. Raises: ConflictError."""
    staging = layout.datasets / INCOMING / check_name(name, "dataset")
    staging.mkdir(parents=True, exist_ok=True)
    try:
        with file_lock(staging.with_name(f"{name}.lock")).hold(timeout=0):
            yield staging
    except ConflictError as error:
        raise ConflictError(
            f"dataset {name!r} is being imported by another process", hint="wait until it has finished"
        ) from error


def _look(request: ImportRequest, journal: Path, reporter: Reporter) -> tuple[Import, list[Picture]]:
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


def _assign(
    rows: Sequence[Row],
    pictures: Sequence[Picture],
    options: SplitOptions,
    latest: Dataset | None,
    parts: Mapping[str, str],
) -> Assignment:
    kept = dataset_files.split_json(latest.path)["keys"] if latest else {}
    lookalikes = near_pairs([picture.phash for picture in pictures])
    return split_rows(rows, options, kept=kept, published=parts, lookalikes=lookalikes)


def _placed(layout: Layout, result: Import, reference: bool) -> list[Row]:
    """Rows that say where their image will be found: in the store, or where it lies already."""
    if reference:
        return [replace(row, image_url=path.resolve().as_uri()) for row, path in result.rows]
    store = ImageStore(layout.images)

    def keep(item: tuple[Row, Path]) -> Row:
        row, path = item
        target = store.add(path, row.sha256, row.format or "jpg")
        return replace(row, image_url=f"../../../{target.relative_to(layout.root).as_posix()}")

    with ThreadPoolExecutor(max_workers=cores()) as pool:
        return list(pool.map(keep, result.rows))


def latest_version(layout: Layout, name: str) -> Dataset | None:
    numbers = dataset_files.versions(layout.datasets / name)
    return dataset_files.read_dataset(layout.datasets / name / str(numbers[-1])) if numbers else None


def _unchanged_notes(latest: Dataset, request: ImportRequest) -> list[str]:
    notes = [f"the same content is there already as {latest.reference}; no new version was made"]
    if request.split and request.split != dataset_files.split_options(latest.path):
        notes.append(f"its split stays as it is; `cva data split {latest.name} --redo` makes another one")
    return notes


def _same_notes(rows: Sequence[Row]) -> list[str]:
    groups = same(row.sha256 for row in rows)
    if not groups:
        return []
    first = ", ".join(rows[i].file_name for i in groups[0][:3])
    return [f"{len(groups)} pictures are there more than once (the first: {first}); all stay, in one part each"]
