"""`cva model pull` as a program sees it: one JSON line last, and the contract's exit codes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.output import Output
from scoring.edge.command import add_pull
from scoring.errors import NotFoundError


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring.edge.pull.self_test", lambda folder: None)


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    parser = argparse.ArgumentParser()
    add_pull(parser)
    args = parser.parse_args(arguments)
    result = args.run(args, Output())
    return getattr(args, "exit_code", 0), json.loads(json.dumps(result))


def test_pull_reports_what_is_installed_and_where(
    shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CVA_WORKSPACE", str(shelf.workspace))
    shelf.put(1)
    arguments = ("Caps", "--to", str(tmp_path / "device"))
    code, result = run(*arguments)
    assert (code, result["status"], result["model"], result["version"]) == (0, "updated", "Caps", 1)
    assert Path(result["paths"]["model"]) == tmp_path / "device/Caps/versions/1"
    assert "Caps:1 is updated" in capsys.readouterr().out
    assert run(*arguments)[1]["status"] == "current"


def test_offline_is_a_warning_and_code_3(
    shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CVA_WORKSPACE", str(shelf.workspace))
    shelf.put(1)
    run("Caps", "--to", str(tmp_path / "device"))
    monkeypatch.setenv("CVA_WORKSPACE", str(tmp_path / "nowhere"))
    code, result = run("Caps", "--to", str(tmp_path / "device"))
    assert (code, result["status"], result["version"]) == (3, "offline", 1)
    assert "Caps:1 goes on" in capsys.readouterr().err
    with pytest.raises(NotFoundError, match="nothing is installed"):
        run("Caps", "--to", str(tmp_path / "other"))
