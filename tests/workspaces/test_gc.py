"""What is removed and, more to the point, what stays."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from model_training.workspaces.base import Run
from model_training.workspaces.local import LocalWorkspace
from model_training.workspaces.local.gc import DAY, find_garbage, remove
from model_training.workspaces.locking import file_lock
from scoring.errors import ConflictError


def run_with_work(workspace: LocalWorkspace, status: str) -> Run:
    run = workspace.runs.create(kind="job", experiment="e", parameters={})
    (run.folder / "sweep").mkdir()
    (run.folder / "sweep" / "last.safetensors").write_bytes(b"x" * 1000)
    return workspace.runs.update(run.id, status=status) if status != "NotStarted" else run


def registered_by(workspace: LocalWorkspace, run: Run) -> None:
    """As the registry says it; MLflow is not asked by gc."""
    entry = {"path": "M/1", "manifest_sha256": "", "created_at": "", "tags": {"run_id": run.id}}
    registry = {"schema": 1, "models": {"M": {"champion": None, "versions": {"1": entry}}}}
    (workspace.path / "models" / "M" / "1").mkdir(parents=True)
    (workspace.path / "models" / "registry.json").write_text(json.dumps(registry))


def test_a_workspace_in_use_has_no_garbage(published: LocalWorkspace) -> None:
    run_with_work(published, "Completed")
    assert find_garbage(published.layout) == []


def test_only_old_unregistered_runs_that_ended_go_whole(published: LocalWorkspace) -> None:
    registered, failed, waiting, canceled = (
        run_with_work(published, status) for status in ("Completed", "Failed", "NotStarted", "Canceled")
    )
    registered_by(published, registered)
    newest = run_with_work(published, "Completed")
    garbage = find_garbage(published.layout, keep_runs=1)
    freed = remove(garbage)
    assert freed >= 3000
    left = {run.id for run in published.runs.list()}
    assert left == {registered.id, waiting.id, newest.id}
    assert not (registered.folder / "sweep").exists()
    assert (waiting.folder / "sweep").exists() and (newest.folder / "sweep").exists()
    assert not failed.folder.exists() and not canceled.folder.exists()
    assert (published.path / "models" / "M" / "1").is_dir()


def test_a_run_that_is_executed_stays(published: LocalWorkspace) -> None:
    run = run_with_work(published, "NotStarted")
    with published.runs.own(run.id):
        published.runs.update(run.id, status="Failed")
        assert find_garbage(published.layout, keep_runs=0) == []


def test_images_go_when_no_dataset_version_names_them(published: LocalWorkspace) -> None:
    images = sorted(path for path in published.layout.images.rglob("*") if path.is_file())
    assert len(images) == 12
    shutil.rmtree(published.path / "datasets" / "caps")
    garbage = find_garbage(published.layout)
    assert sorted(each.path for each in garbage) == images
    remove(garbage)
    assert find_garbage(published.layout) == []


def test_nothing_is_looked_for_while_a_dataset_is_imported(published: LocalWorkspace) -> None:
    lock = published.path / "datasets" / ".incoming" / "new.lock"
    with file_lock(lock).hold(), pytest.raises(ConflictError, match="imported"):
        find_garbage(published.layout)


@pytest.mark.parametrize("place", [".partial-x", "endpoints/train_caps/.incoming-1/job.yml", "runs/.partial-run.json"])
def test_old_leftovers_go_and_young_ones_stay(published: LocalWorkspace, place: str) -> None:
    path = published.path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    assert find_garbage(published.layout) == []
    for each in (path, path.parent):
        old = each.stat().st_mtime - 2 * DAY
        os.utime(each, (old, old))
    remove(find_garbage(published.layout))
    assert not path.exists()
    assert (published.path / "workspace.json").is_file()


def test_images_left_outside_are_never_touched(tmp_path: Path, published: LocalWorkspace) -> None:
    outside = tmp_path / "photos" / "1.png"
    outside.parent.mkdir()
    outside.write_bytes(b"x")
    find_garbage(published.layout, keep_runs=0)
    assert outside.read_bytes() == b"x"
