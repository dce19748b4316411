"""One import from rows to a dataset version: look at every image, check, split, store, publish with one rename.

Killed at any point it leaves no version; the journal of what was looked at stays, so the same import goes on there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from model_training.data.importing import Import, task_of
from model_training.data.rows import Row
from model_training.data.scanning import cores
from model_training.data.split import SplitOptions
from model_training.workspaces import dataset_files
from model_training.workspaces.base import Dataset, Reporter
from model_training.workspaces.image_store import ImageStore
from model_training.workspaces.imports import (
    Imported,
    ImportRequest,
    assign,
    described,
    exclusive,
    look,
    same_notes,
    unchanged,
)
from model_training.workspaces.local.layout import Layout
from model_training.workspaces.names import now
from scoring.files import sync_folder

__all__ = ["INCOMING", "ImportRequest", "Imported", "import_dataset", "incoming", "latest_version", "publish"]

INCOMING = ".incoming"


def incoming(layout: Layout) -> Path:
    """Where imports are prepared, a folder a name."""
    return layout.datasets / INCOMING


def import_dataset(layout: Layout, request: ImportRequest, reporter: Reporter) -> Imported:
    """Raises: DataError (bad rows), ConflictError (the same name is being imported), OSError (disk full)."""
    with exclusive(incoming(layout), request.name) as staging:
        result, pictures = look(request, staging / "journal.jsonl", reporter)
        rows = [row for row, _ in result.rows]
        task = request.task or task_of(rows)
        latest = latest_version(layout, request.name)
        before = dataset_files.split_options(latest.path) if latest else SplitOptions()
        if latest and latest.sha256 == dataset_files.dataset_sha256(rows):
            shutil.rmtree(staging)
            return unchanged(latest, result, request, before)
        options = request.split or before
        kept = dataset_files.split_json(latest.path)["keys"] if latest else {}
        assignment = assign(rows, pictures, options, kept, request.parts)
        placed = _placed(layout, result, request.reference)
        contents = described(
            request, result, pictures, placed=placed, task=task, assignment=assignment, options=options
        )
        dataset = publish(layout, request.name, contents)
        shutil.rmtree(staging)
    return Imported(dataset, True, result.problems, result.changed, [*assignment.notes, *same_notes(rows)])


def publish(layout: Layout, name: str, contents: dataset_files.Contents) -> Dataset:
    """Write the next version aside, then rename it into its place. The caller holds the name's lock."""
    folder = layout.datasets / name
    version = max(dataset_files.versions(folder), default=0) + 1
    staged = incoming(layout) / name / "version"
    shutil.rmtree(staged, ignore_errors=True)
    dataset_files.write_version(staged, name, version, contents, now())
    folder.mkdir(parents=True, exist_ok=True)
    staged.rename(folder / str(version))
    sync_folder(folder)
    return dataset_files.read_dataset(folder / str(version))


def _placed(layout: Layout, result: Import, reference: bool) -> Sequence[Row]:
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
