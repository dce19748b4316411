"""`cva model pull` as a program sees it: one JSON line last, and the contract's exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.main import main
from scoring.edge.store import Store


@pytest.fixture
def run(shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """`run("latest")` gives the exit code, the last line's JSON (None if there is none) and what stderr says."""
    monkeypatch.setattr("scoring.edge.pull.self_test", lambda folder, **_: None)

    def pulled(version: str) -> tuple[int, Any, str]:
        code = main(["model", "pull", "Caps", "--version", version, "--to", str(tmp_path / "device")])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, json.loads(printed.out.splitlines()[-1]) if printed.out.endswith("}\n") else None, printed.err

    return pulled


def test_exit_codes_in_the_life_of_a_device(shelf: Any, run: Any, tmp_path: Path) -> None:
    assert run("latest")[0] == 1  # nothing installed, nothing obtainable
    shelf.put(1, champion=1)
    shelf.put(2, champion=1)
    code, result, _ = run("latest")
    assert (code, result["status"], result["model"], result["version"]) == (0, "updated", "Caps", 2)
    assert Path(result["paths"]["model"]) == tmp_path / "device/Caps/versions/2"
    assert run("latest")[1]["status"] == "current"
    assert run("newest")[0] == 2
    assert run("best")[0] == 2  # older than what is installed
    folder = shelf.put(3)
    (folder / "notes.txt").write_text("[]")
    assert run("3")[0] == 4
    shelf.put(4, runtime={"onnxruntime": ">=99"}, golden=False)
    assert run("4")[0] == 6
    with Store(tmp_path / "device/Caps").lock():
        assert run("latest")[0] == 75
    shelf.models.rename(tmp_path / "gone")
    code, result, words = run("latest")
    assert (code, result["status"], result["version"]) == (3, "offline", 2)
    assert "registry.json" in words


def test_a_failed_self_test_is_code_5(shelf: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from scoring.edge.selftest import self_test

    monkeypatch.setattr("scoring.edge.pull.self_test", self_test)
    shelf.put(1, golden=False)
    code, _, words = run("1")
    assert code == 5
    assert "no golden/expected.json" in words
