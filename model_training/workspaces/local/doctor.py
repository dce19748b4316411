"""Looks whether a workspace is well: each check says what it found and what to do. Repairs nothing unless told to.

Knows the parts' files; knows nothing about printing.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import metadata
from itertools import islice
from typing import TYPE_CHECKING

from model_training.workspaces.findings import FAIL, OK, WARN, Finding
from model_training.workspaces.image_store import ImageStore
from scoring.errors import CvaError
from scoring.files import sha256_of

if TYPE_CHECKING:
    from model_training.workspaces.local.workspace import LocalWorkspace

LOW_DISK = 2 << 30  # bytes
NO_DISK = 200 << 20
SAMPLE = 200  # images that are hashed
PACKAGES = ("torch", "opencv-python-headless", "safetensors", "onnx", "onnxscript", "optuna", "mlflow", "hotcoco")
BASE = ("numpy", "pillow", "onnxruntime", "pyyaml")


def examine(workspace: LocalWorkspace, *, sample: int = SAMPLE) -> list[Finding]:
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _disk(workspace),
        _packages,
        lambda: _database(workspace),
        lambda: _leftovers(workspace),
        lambda: _models(workspace),
        lambda: _mirror(workspace),
        lambda: _datasets(workspace),
        lambda: _images(workspace, sample),
    )
    return [finding for check in checks for finding in check()]


def repair(workspace: LocalWorkspace) -> None:
    """Finish what was interrupted and write MLflow's side anew from the mirror, which is the truth."""
    workspace.models.recover()
    workspace.models.sync()


def _disk(workspace: LocalWorkspace) -> Iterator[Finding]:
    free = shutil.disk_usage(workspace.path).free
    status = FAIL if free < NO_DISK else WARN if free < LOW_DISK else OK
    todo = "" if status == OK else "free some: cva workspace gc"
    yield Finding("disk", status, f"{free / 2**30:.1f} GiB free", todo)


def _packages() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 12)
    yield Finding("python", OK if good else WARN, python, "" if good else "training needs 3.11 or 3.12")
    for extra, names, status in (("", BASE, FAIL), ("[train]", PACKAGES, WARN)):
        missing = [name for name in names if not _installed(name)]
        found = f"missing: {', '.join(missing)}" if missing else f"{len(names)} there"
        todo = f"install cv-accelerator{extra}" if missing else ""
        yield Finding(f"packages{extra}", status if missing else OK, found, todo)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _database(workspace: LocalWorkspace) -> Iterator[Finding]:
    path = workspace.layout.mlflow
    if not path.is_file():
        yield Finding("mlflow database", OK, "none yet")
        return
    todo = f"move {path.name} away; `cva workspace doctor --repair` makes it again from the mirror (runs are lost)"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            answer = str(database.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        answer = str(error)
    yield Finding("mlflow database", OK if answer == "ok" else FAIL, answer, "" if answer == "ok" else todo)


def _leftovers(workspace: LocalWorkspace) -> Iterator[Finding]:
    found = workspace.models.registration.leftovers()
    names = ", ".join(str(path.relative_to(workspace.path)) for path in found[:3])
    todo = "wait if a registration is under way; else: cva workspace doctor --repair"
    yield Finding("registrations", WARN if found else OK, names or "none unfinished", todo if found else "")


def _models(workspace: LocalWorkspace) -> Iterator[Finding]:
    """Every file of every version against its hash."""
    models = workspace.models.list()
    broken = []
    for model in models:
        try:
            workspace.models.get(model.reference)
        except CvaError as error:
            broken.append(
                Finding("models", FAIL, error.message, "register it again, or pull it from where it is whole")
            )
    yield from broken
    if not broken:
        yield Finding("models", OK, f"{len(models)} versions, every file as registered")


def _mirror(workspace: LocalWorkspace) -> Iterator[Finding]:
    if not workspace.layout.mlflow.is_file() and not workspace.models.list():
        return
    with workspace.layout.lock.hold():
        try:
            differences = list(_differences(workspace))
        except CvaError as error:
            differences = [error.message]
    found = "; ".join(differences[:3]) or "MLflow and registry.json agree"
    todo = "cva workspace doctor --repair" if differences else ""
    yield Finding("mirror", FAIL if differences else OK, found, todo)


def _differences(workspace: LocalWorkspace) -> Iterator[str]:
    held: dict[str, dict[int, dict[str, str]]] = {}
    champions: dict[str, int | None] = {}
    for model in workspace.models.list():
        held.setdefault(model.name, {})[model.version] = dict(model.tags)
        champions.setdefault(model.name, None)
        if model.champion:
            champions[model.name] = model.version
    for name, versions in held.items():
        tracked = workspace.tracking.versions(name)
        missing = sorted(versions.keys() - tracked.keys())
        if missing:
            yield f"MLflow lacks {name}:{missing[0]}"
        changed = [v for v in versions.keys() & tracked.keys() if not versions[v].items() <= tracked[v].items()]
        if changed:
            yield f"the tags of {name}:{min(changed)} differ"
        if workspace.tracking.champion(name) != champions[name]:
            yield f"MLflow's champion of {name} is not {champions[name]}"


def _datasets(workspace: LocalWorkspace) -> Iterator[Finding]:
    """Each version can be read and its images are there."""
    broken, count = [], 0
    for dataset in workspace.datasets.list():
        count += 1
        try:
            rows = workspace.datasets.rows(dataset)
            beside = dataset.path / "data.jsonl"
            gone = [row for row in rows if not workspace.datastores.resolve(row.image_url, beside).is_file()]
        except CvaError as error:
            broken.append(Finding("datasets", FAIL, f"{dataset.reference}: {error.message}", "import it again"))
            continue
        if gone:
            found = f"{dataset.reference}: {len(gone)} images are gone, the first: {gone[0].image_url}"
            broken.append(Finding("datasets", FAIL, found, "put them back, or import the data again"))
    yield from broken
    if not broken:
        yield Finding("datasets", OK, f"{count} versions, every image there")


def _images(workspace: LocalWorkspace, sample: int) -> Iterator[Finding]:
    """Evenly over the store; an image that was linked and then edited in place is no longer what its name says."""
    paths = list(ImageStore(workspace.layout.images))
    chosen = list(islice(paths, 0, None, max(len(paths) // max(sample, 1), 1)))
    damaged = [path for path in chosen if sha256_of(path) != path.stem]
    found = f"{len(damaged)} of {len(chosen)} hashed are changed, the first: {damaged[0]}" if damaged else ""
    todo = "restore the file and import the data again" if damaged else ""
    well = f"{len(chosen)} of {len(paths)} hashed, all as imported"
    yield Finding("images", FAIL if damaged else OK, found or well, todo)
