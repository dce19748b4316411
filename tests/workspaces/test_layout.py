"""Where the workspace is, how it is made, who may use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from model_training.workspaces.files import write_text
from model_training.workspaces.local import LocalWorkspace, layout
from model_training.workspaces.local.layout import open_layout
from model_training.workspaces.locking import file_lock
from scoring.edge.registry import find_workspace
from scoring.errors import ConflictError, IncompatibleError, StorageError


def test_a_named_workspace_wins_over_the_environment(tmp_path: Path) -> None:
    assert find_workspace(tmp_path / "named") == tmp_path / "named"
    assert find_workspace(None) == Path(os.environ["CVA_WORKSPACE"])


def test_a_project_folder_stands_for_the_workspace_inside(tmp_path: Path) -> None:
    LocalWorkspace.open(tmp_path / "project" / ".cva")
    assert find_workspace(tmp_path / "project") == tmp_path / "project" / ".cva"


def test_else_the_nearest_one_upwards_else_a_new_one_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CVA_WORKSPACE")
    below = tmp_path / "project" / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_workspace(None) == below / ".cva"
    LocalWorkspace.open(tmp_path / "project" / ".cva")
    assert find_workspace(None) == tmp_path / "project" / ".cva"


def test_a_new_workspace_ignores_itself_and_has_a_schema(tmp_path: Path) -> None:
    workspace = LocalWorkspace.open(tmp_path / "new" / ".cva")
    assert (workspace.path / ".gitignore").read_text() == "*\n"
    assert json.loads((workspace.path / "workspace.json").read_text())["schema"] == layout.SCHEMA
    LocalWorkspace.open(workspace.path)


def test_opening_writes_nothing_and_imports_nothing_heavy(tmp_path: Path) -> None:
    LocalWorkspace.open(tmp_path / "ws")
    code = (
        "import sys; from model_training.workspaces.local import LocalWorkspace; LocalWorkspace.open(sys.argv[1]);"
        "print([m for m in ('mlflow', 'numpy', 'torch', 'yaml', 'sqlalchemy') if m in sys.modules])"
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "ws"], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="expected a folder"):
        LocalWorkspace.open(tmp_path / "file")


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_text("x")
    with pytest.raises(StorageError, match=r"found 1\.jpg"):
        LocalWorkspace.open(tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["1.jpg"]


def test_a_newer_workspace_is_refused(tmp_path: Path) -> None:
    workspace = LocalWorkspace.open(tmp_path / "ws")
    write_text(workspace.layout.info, '{"schema": 99}')
    with pytest.raises(IncompatibleError, match="schema 99"):
        LocalWorkspace.open(tmp_path / "ws")


def test_an_older_workspace_is_brought_up_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SCHEMA", 3)
    (tmp_path / "workspace.json").write_text('{"schema": 1, "created_at": "then"}')
    steps: list[int] = []
    table = {1: lambda root: steps.append(1), 2: lambda root: steps.append(2)}
    open_layout(tmp_path, table)
    assert steps == [1, 2]
    assert json.loads((tmp_path / "workspace.json").read_text()) == {"schema": 3, "created_at": "then"}


def test_an_older_workspace_without_a_way_up_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SCHEMA", 2)
    (tmp_path / "workspace.json").write_text('{"schema": 1}')
    with pytest.raises(IncompatibleError, match="cannot bring"):
        open_layout(tmp_path, {})


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": "1"}'])
def test_a_broken_description_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "workspace.json").write_text(text)
    with pytest.raises(StorageError, match=r"workspace\.json"):
        LocalWorkspace.open(tmp_path)


def test_the_lock_may_be_taken_twice_by_one_thread_and_not_by_another(tmp_path: Path) -> None:
    lock = file_lock(tmp_path / "lock")
    refused: list[bool] = []

    def other() -> None:
        try:
            with file_lock(tmp_path / "lock").hold(timeout=0):
                refused.append(False)
        except ConflictError:
            refused.append(True)

    with lock.hold(), file_lock(tmp_path / "lock").hold():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused == [True]
    with lock.hold(timeout=0):
        pass


def test_the_lock_keeps_other_processes_out(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from model_training.workspaces.locking import file_lock\n"
        "with file_lock(Path(sys.argv[1])).hold(timeout=0): print('got it')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with file_lock(tmp_path / "lock").hold():
        held = subprocess.run(command, capture_output=True, text=True, check=False)
    free = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "held by another process" in held.stderr
    assert free.stdout == "got it\n"


def test_a_failed_write_leaves_the_old_text_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.json", "new \ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"
