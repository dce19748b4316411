"""What nothing refers to any more: found first, removed then. Registered models are never touched.

Knows where the parts lie, and nothing about what is in them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_training.workspaces.files import PARTIAL
from model_training.workspaces.image_store import ImageStore
from model_training.workspaces.local.layout import Layout
from model_training.workspaces.local.registry import Registry
from model_training.workspaces.local.run_files import RunFiles
from model_training.workspaces.local.runs import ENDED, LocalRuns
from model_training.workspaces.locking import is_held
from scoring.errors import ConflictError

KEEP_RUNS = 10  # the newest ones stay whole
DAY = 86_400.0  # seconds; a younger leftover may be somebody's work in progress


@dataclass(frozen=True)
class Garbage:
    path: Path
    bytes: int
    why: str


def find_garbage(layout: Layout, *, keep_runs: int = KEEP_RUNS) -> list[Garbage]:
    """Raises: ConflictError while a dataset is being imported: its images are not referred to yet."""
    if any(is_held(lock) for lock in layout.datasets.glob(".incoming/*.lock")):
        raise ConflictError("a dataset is being imported", hint="run it again when the import has finished")
    found = [*_leftovers(layout), *_runs(layout, keep_runs), *_images(layout)]
    return [Garbage(path, size(path), why) for path, why in found]


def remove(garbage: list[Garbage]) -> int:
    """The bytes that were freed. Killed in between, the next call removes the rest."""
    for each in garbage:
        if each.path.is_dir():
            shutil.rmtree(each.path)
        else:
            each.path.unlink(missing_ok=True)
    return sum(each.bytes for each in garbage)


def size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.lstat().st_size for file in files)


def _leftovers(layout: Layout) -> Iterator[tuple[Path, str]]:
    """Half-written files and unfinished imports and publications; unfinished registrations are finished at opening."""
    before = time.time() - DAY
    kinds = (
        (layout.root.rglob(f"{PARTIAL}*"), "a write that was cut off"),
        (layout.endpoints.glob("*/.incoming-*"), "a publication that was cut off"),
        (layout.datasets.glob(".incoming/*"), "an import that was never finished"),
    )
    for paths, why in kinds:
        yield from ((path, why) for path in sorted(paths) if path.lstat().st_mtime < before)


def _runs(layout: Layout, keep: int) -> Iterator[tuple[Path, str]]:
    """Older runs that ended: whole, or, where a registered model came from them, their working folders."""
    models = Registry.read(layout.models / "registry.json").models.values()
    registered = {entry["tags"].get("run_id") for versions in models for entry in versions.values()}
    for run in LocalRuns(layout).list()[keep:]:
        if run.status not in ENDED or RunFiles(run.folder).alive:
            continue
        if run.id not in registered:
            yield run.folder, f"a run that ended {run.status.lower()}; the newest {keep} stay"
        else:
            folders = sorted(path for path in run.folder.iterdir() if path.is_dir() and path.name != "report")
            yield from ((path, "the working folder of a run whose model is registered") for path in folders)


def _images(layout: Layout) -> Iterator[tuple[Path, str]]:
    used = set(_referenced(layout))
    for path in ImageStore(layout.images).unreferenced(used):
        yield path, "an image of no dataset version"


def _referenced(layout: Layout) -> Iterator[str]:
    for rows in layout.datasets.glob("[!.]*/*/data.jsonl"):
        with rows.open(encoding="utf-8") as lines:
            yield from (json.loads(line)["sha256"] for line in lines if line.strip())
