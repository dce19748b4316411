"""`cva workspace …` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.main import main
from model_training.workspaces.local import LocalWorkspace


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert main(["--json", "workspace", *arguments]) == code
    return json.loads(capsys.readouterr().out)


def test_info_says_where_it_is_and_how_to_look_inside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LocalWorkspace.open().runs.create(kind="job", experiment="e", parameters={})
    said = answer(capsys, "info")
    assert said["path"] == str(tmp_path / "workspace")
    assert said["counts"] == {"datasets": 0, "models": 0, "endpoints": 0, "runs": 1}
    assert said["bytes"]["runs"] > 0
    assert said["mlflow_ui"] == f"cd {tmp_path / 'workspace'} && mlflow ui --backend-store-uri sqlite:///mlflow.db"


def test_a_new_workspace_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workspace", "doctor"]) == 0
    assert "all well" in capsys.readouterr().out


def test_what_is_broken_is_said_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    workspace = LocalWorkspace.open()
    image = workspace.layout.images / "ab" / f"{'ab' * 32}.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"not what its name says")
    said = answer(capsys, "doctor", code=1)
    (images,) = (check for check in said["checks"] if check["check"] == "images")
    assert (images["status"], said["broken"], bool(images["todo"])) == ("fail", 1, True)


def test_gc_says_first_and_removes_then(capsys: pytest.CaptureFixture[str]) -> None:
    runs = LocalWorkspace.open().runs
    for _ in range(3):
        runs.update(runs.create(kind="job", experiment="e", parameters={}).id, status="Failed")
    said = answer(capsys, "gc", "--dry-run", "--keep-runs", "1")
    assert len(said["removed"]) == len(runs.list()) - 1 == 2
    assert answer(capsys, "gc", "--keep-runs", "1") == {**said, "dry_run": False}
    assert len(runs.list()) == 1
    assert answer(capsys, "gc")["removed"] == []


def test_wrong_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workspace", "gc", "--keep-runs", "-1"]) == 2
    assert "expected 0 or more" in capsys.readouterr().err


def test_a_file_is_no_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["--workspace", str(tmp_path / "file"), "workspace", "info"]) == 1
    assert "expected a folder" in capsys.readouterr().err
