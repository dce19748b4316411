"""The demo end to end, on few pictures and for seconds: every step runs, and what it leaves is there.

Nothing of it, nor of the processes that it starts, imports an Azure package.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_training.cli.main import main
from tests.refusing import AZURE, refuse_here


def test_the_demo_registers_scores_and_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_here(monkeypatch, *AZURE)
    assert main(["demo", "--images", "40", "--minutes", "0.5"]) == 0
    text = capsys.readouterr().out
    last = json.loads(text.splitlines()[-1])
    assert (last["model"], last["version"], last["champion"]) == ("Cap_Detection_Model", 1, True)
    assert last["metrics"]["split"] == "test"
    assert Path(last["paths"]["report"]).is_file()
    assert all(Path(picture).is_file() for picture in last["paths"]["pictures"])
    tried = next(line for line in text.splitlines() if line.strip().startswith("cva score"))
    assert main(tried.split()[1:]) == 0
    assert main(["model", "pull", "Cap_Detection_Model", "--version", "latest", "--to", "device"]) == 0
    assert (tmp_path / "device/Cap_Detection_Model/current/model.onnx").is_file()
