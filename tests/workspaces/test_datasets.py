"""Datasets of the local workspace: versions, identity, the stable split, imports that are killed or run out of room."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from model_training.data.importing import Repair
from model_training.data.jsonl import read_rows, resolve_image
from model_training.data.mltable import read_mltable
from model_training.data.rows import Box, Row
from model_training.data.split import SplitOptions
from model_training.workspaces import dataset_files, imports
from model_training.workspaces.base import Dataset
from model_training.workspaces.local import LocalWorkspace, dataset_import
from model_training.workspaces.local.dataset_import import INCOMING
from model_training.workspaces.locking import file_lock
from scoring.errors import ConflictError, DataError, IntegrityError, NotFoundError, UsageError
from scoring.files import sha256_of
from tests.contracts.workspace_contract import TASK, pictures


@pytest.fixture
def workspace(tmp_path: Path) -> LocalWorkspace:
    return LocalWorkspace.open(tmp_path / "ws")


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    return pictures(tmp_path / "pictures", 20)


def create(workspace: LocalWorkspace, rows: Sequence[Row], **options: object) -> Dataset:
    return workspace.datasets.create("caps", rows, task=TASK, **options)


def no_version(workspace: LocalWorkspace) -> bool:
    return workspace.datasets.list() == []


def test_a_version_holds_all_that_jobs_need(workspace: LocalWorkspace, rows: list[Row]) -> None:
    dataset = create(workspace, rows)
    assert (dataset.reference, dataset.images, dataset.boxes, dataset.labels) == ("caps:1", 20, 20, ("cap", "no_cap"))
    assert read_mltable(dataset.path) == [dataset.path / "data.jsonl"]
    split = workspace.datasets.split(dataset)
    parts = [read_rows(path) for path in (split.train, split.validation, split.test)]
    assert [len(part) for part in parts] == list(split.counts.values())
    assert sorted(r.sha256 for part in parts for r in part) == sorted(
        r.sha256 for r in workspace.datasets.rows(dataset)
    )
    for part, path in zip(parts, (split.train, split.validation, split.test), strict=True):
        assert all(sha256_of(resolve_image(row, path)) == row.sha256 for row in part)


def test_the_folder_can_be_moved(workspace: LocalWorkspace, rows: list[Row], tmp_path: Path) -> None:
    create(workspace, rows)
    shutil.move(workspace.path, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "pictures")
    moved = LocalWorkspace.open(tmp_path / "elsewhere").datasets
    dataset = moved.get("caps")
    beside = dataset.path / "data.jsonl"
    assert all(sha256_of(resolve_image(row, beside)) == row.sha256 for row in moved.rows(dataset))


def test_the_same_content_makes_no_new_version(workspace: LocalWorkspace, rows: list[Row], tmp_path: Path) -> None:
    """Neither order nor names nor places count; one label does."""
    first = create(workspace, rows)
    shutil.copytree(tmp_path / "pictures", tmp_path / "copy" / "deep")
    elsewhere = [
        replace(row, image_url=str(tmp_path / "copy" / "deep" / row.file_name), file_name=f"deep/{row.file_name}")
        for row in reversed(rows)
    ]
    assert create(workspace, elsewhere) == first
    again = workspace.datasets.import_rows("caps", rows)
    assert (again.new, again.dataset) == (False, first)
    assert "same content" in again.notes[0]
    other = [replace(rows[0], boxes=(Box("can", 0.1, 0.1, 0.2, 0.2),)), *rows[1:]]
    assert create(workspace, other).version == 2
    assert create(workspace, rows).version == 3  # back again is a step too: latest says what is current


@pytest.mark.parametrize("reference", ["caps", "caps:1", "caps@latest", "azureml:caps:1", "azureml:caps@latest"])
def test_references(workspace: LocalWorkspace, rows: list[Row], reference: str) -> None:
    assert create(workspace, rows) == workspace.datasets.get(reference)


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        ("cups", NotFoundError, "caps"),  # names what there is
        ("caps:9", NotFoundError, "versions: 1"),
        ("caps:x", UsageError, "version number"),
        ("caps:0", UsageError, "version number"),
        ("caps@best", UsageError, "@latest"),
        ("../caps", UsageError, "letters"),
        ("caps-train", NotFoundError, "part of 'caps'"),  # the whole is wanted here
    ],
)
def test_references_that_lead_nowhere(
    workspace: LocalWorkspace, rows: list[Row], reference: str, error: type[Exception], words: str
) -> None:
    create(workspace, rows)
    with pytest.raises(error) as caught:
        workspace.datasets.get(reference)
    assert words in str(caught.value)


def test_derived_names_are_the_parts_unless_a_dataset_has_that_name(workspace: LocalWorkspace, rows: list[Row]) -> None:
    dataset = create(workspace, rows)
    split = workspace.datasets.split(dataset)
    for name, path in (
        ("caps-train", split.train),
        ("caps-val:1", split.validation),
        ("azureml:caps-test", split.test),
    ):
        assert workspace.datasets.part(name) == (path, dataset.labels)
    assert workspace.datasets.part("caps") == (dataset.path / "data.jsonl", dataset.labels)
    own = workspace.datasets.create("caps-train", rows[:5], task=TASK)
    assert workspace.datasets.part("caps-train")[0] == own.path / "data.jsonl"


def test_a_growing_dataset_keeps_every_image_in_its_part(workspace: LocalWorkspace, tmp_path: Path) -> None:
    create(workspace, pictures(tmp_path / "pictures", 20))
    home = _parts(workspace, "caps:1")
    create(workspace, pictures(tmp_path / "pictures", 60))
    grown = _parts(workspace, "caps:2")
    assert {sha: grown[sha] for sha in home} == home
    create(workspace, pictures(tmp_path / "pictures", 10, first=30))  # most leave …
    create(workspace, pictures(tmp_path / "pictures", 60))  # … and come back
    assert _parts(workspace, "caps:4") == grown


def _parts(workspace: LocalWorkspace, reference: str) -> dict[str, str]:
    dataset = workspace.datasets.get(reference)
    by_name = workspace.datasets.parts(dataset)
    return {row.sha256: by_name[row.file_name] for row in workspace.datasets.rows(dataset)}


def test_another_split_is_another_version_of_the_same_content(workspace: LocalWorkspace, rows: list[Row]) -> None:
    first = create(workspace, rows)
    second = workspace.datasets.resplit("caps", SplitOptions(seed=9, fractions=(0.5, 0.25, 0.25)))
    assert (second.version, second.sha256) == (2, first.sha256)
    assert workspace.datasets.split(first).sha256 != workspace.datasets.split(second).sha256
    assert workspace.datasets.split(second).counts == {"train": 10, "validation": 5, "test": 5}
    grown = create(workspace, rows + pictures(Path(rows[0].image_url).parent, 4, first=50))
    assert dataset_files.split_options(grown.path) == SplitOptions(9, (0.5, 0.25, 0.25))


def test_bad_rows_stop_the_import_with_all_of_them(workspace: LocalWorkspace, rows: list[Row], tmp_path: Path) -> None:
    """No extent, an image cut off, one missing, one of another size, a NaN: all are named at once."""
    cut = tmp_path / "pictures" / "cut.png"
    cut.write_bytes(Path(rows[1].image_url).read_bytes()[:300])
    bad = [
        replace(rows[0], boxes=(Box("cap", 0.5, 0.5, 0.5, 0.5),)),
        replace(rows[1], image_url=str(cut), file_name="cut.png"),
        replace(rows[2], image_url=str(tmp_path / "no.png"), file_name="no.png"),
        replace(rows[3], width=7),
        replace(rows[4], boxes=(Box("cap", float("nan"), 0.5, 0.6, 0.7),)),
    ]
    with pytest.raises(DataError) as caught:
        create(workspace, bad + rows[5:])
    assert len(caught.value.problems) == 5
    for words in ("no extent", "cut off", "No such file", "7 x 32", "finite"):
        assert any(words in problem for problem in caught.value.problems)
    assert no_version(workspace)
    assert list(workspace.layout.images.glob("*/*")) == []
    done = workspace.datasets.import_rows("caps", bad + rows[5:], repair=Repair(skip_bad_rows=True))
    assert (done.dataset.images, len(done.left_out)) == (15, 5)
    assert dataset_files.details(done.dataset.path)["left_out"] == done.left_out


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "x" * 101])
def test_names_that_are_none(workspace: LocalWorkspace, rows: list[Row], name: str) -> None:
    with pytest.raises(UsageError):
        workspace.datasets.create(name, rows, task=TASK)


def test_no_rows_make_no_dataset(workspace: LocalWorkspace) -> None:
    with pytest.raises(DataError, match="found none"):
        create(workspace, [])


def test_referenced_images_stay_where_they_are_and_are_checked_on_use(
    workspace: LocalWorkspace, rows: list[Row]
) -> None:
    dataset = create(workspace, rows, reference=True)
    assert not workspace.layout.images.exists()
    assert workspace.datasets.split(dataset).counts["train"] == 14
    Path(rows[3].image_url).write_bytes(b"something else")
    for use in (lambda: workspace.datasets.split(dataset), lambda: workspace.datasets.part("caps-train")):
        with pytest.raises(IntegrityError, match="1 of 20 images"):
            use()


def test_a_check_finds_an_image_that_was_edited_in_place(workspace: LocalWorkspace, rows: list[Row]) -> None:
    dataset = create(workspace, rows)
    assert workspace.datasets.check(dataset, image_size=640).problems == []
    image = Path(rows[0].image_url)
    image.write_bytes(Path(rows[1].image_url).read_bytes())  # a hard link: the stored one changes with it
    (problem,) = workspace.datasets.check(dataset, image_size=640).problems
    assert "changed or replaced" in problem


def test_two_imports_of_one_name_at_once(workspace: LocalWorkspace, rows: list[Row]) -> None:
    code = (
        "import sys, fcntl, os\n"
        "handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(handle, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    lock = workspace.layout.datasets / INCOMING / "caps.lock"
    lock.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", code, str(lock)], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(ConflictError, match="being imported"):
            create(workspace, rows)
        assert other.stdin is not None
        other.stdin.close()
    assert create(workspace, rows).version == 1
    with file_lock(lock).hold(timeout=0):  # let go of
        pass


STEPS: list[tuple[object, str]] = [
    (imports, "add_pictures"),  # looked at, nothing stored
    (imports, "split_rows"),
    (dataset_import, "publish"),  # images stored
    (dataset_files, "write_rows"),  # half of the version's files written
    (dataset_files, "_dataset_json"),
    (dataset_import, "sync_folder"),  # renamed: the version is there
]


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[step for _, step in STEPS])
def test_a_full_disk_leaves_no_version_and_the_next_import_succeeds(
    workspace: LocalWorkspace, rows: list[Row], monkeypatch: pytest.MonkeyPatch, module: object, step: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, step, full)
        with pytest.raises(OSError, match="No space left"):
            create(workspace, rows)
    if step != "sync_folder":
        assert no_version(workspace)
    assert create(workspace, rows).version == 1
    assert len(workspace.datasets.list()) == 1


IMPORT = """
import os, signal, sys
from pathlib import Path
from model_training.data.jsonl import read_rows
from model_training.workspaces import dataset_files, files
from model_training.workspaces.local import LocalWorkspace, dataset_import
import model_training.data.scanning as scanning

folder, module, step, after = sys.argv[1:]
place = {"import": dataset_import, "files": dataset_files, "scan": scanning}[module]
original, calls = getattr(place, step), []

def dying(*args, **kwargs):
    calls.append(1)
    if len(calls) > int(after):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)

setattr(place, step, dying)
jsonl = Path(folder) / "rows.jsonl"
LocalWorkspace.open(Path(folder) / "ws").datasets.create("caps", read_rows(jsonl), task="", root=jsonl.parent)
"""


@pytest.mark.parametrize(
    ("module", "step", "after"),
    [("scan", "look_at", 7), ("import", "replace", 9), ("files", "write_rows", 2), ("import", "sync_folder", 0)],
)
def test_a_killed_import_leaves_no_half_version_and_the_next_one_succeeds(
    tmp_path: Path, rows: list[Row], module: str, step: str, after: int
) -> None:
    lines = [{"image_url": row.image_url, "label": [_plain(row.boxes[0])]} for row in rows]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = [sys.executable, "-c", IMPORT, str(tmp_path), module, step, str(after)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    assert done.returncode == -signal.SIGKILL
    workspace = LocalWorkspace.open(tmp_path / "ws")
    for dataset in workspace.datasets.list():  # killed after the rename: then it is whole
        assert step == "sync_folder"
        assert len(workspace.datasets.rows(dataset)) == 20
    fresh = LocalWorkspace.open(tmp_path / "fresh").datasets.create("caps", rows, task=TASK)
    again = create(workspace, rows)
    assert (again.version, again.sha256) == (1, fresh.sha256)
    split: Callable[[LocalWorkspace, Dataset], str] = lambda w, d: w.datasets.split(d).sha256  # noqa: E731
    assert split(workspace, again) == split(LocalWorkspace.open(tmp_path / "fresh"), fresh)


def _plain(box: Box) -> dict[str, object]:
    return {"label": box.label, "topX": box.top_x, "topY": box.top_y, "bottomX": box.bottom_x, "bottomY": box.bottom_y}
