"""`cva model …` as a person types it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.main import main
from model_training.workspaces.local import LocalWorkspace
from tests.contracts.bundles import decision, tiny_bundle


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    models = LocalWorkspace.open(folder / "ws").models
    models.register(tiny_bundle(folder / "1", model=b"1"), decision(), name="M", run_id="a")
    models.register(tiny_bundle(folder / "2", model=b"2"), decision(promote=False), name="M", run_id="b")
    return folder / "ws"


@pytest.fixture(autouse=True)
def _workspace(seed: Path, tmp_path: Path) -> None:
    shutil.copytree(seed, tmp_path / "workspace")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main(["--json", "model", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_versions_are_listed_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    listed = answer(capsys, "list")
    assert [(each["model"], each["version"], each["champion"]) for each in listed] == [("M", 2, False), ("M", 1, True)]
    assert listed[0]["metrics"] == {"mean_average_precision": 0.75, "precision": 0.8, "recall": None}
    assert main(["model", "list", "M"]) == 0
    assert "caps:1" in capsys.readouterr().out


def test_a_card_says_what_it_finds_how_well_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "show", "M@best", "--files"]) == 0
    text = capsys.readouterr().out
    for part in (
        "M:1  (champion)",
        "recall undefined on 4 test images",
        "the first version",
        "golden/0001.jpg",
        "cap ",
    ):
        assert part in text
    shown = answer(capsys, "show", "M:2")
    assert (shown["version"], shown["manifest"]["task"]) == (2, "image_object_detection")
    assert shown["lineage"]["run_id"] == "b"
    assert "trained_on" not in shown["lineage"]  # thousands of hashes


def test_promoting_goes_forth_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "promote", "M:2")["before"] == 1
    assert answer(capsys, "promote", "M:1")["before"] == 2
    assert answer(capsys, "show", "M")["version"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("show", "N"), 1, "models: M"),
        (("show", "M:9"), 1, "versions: 1, 2"),
        (("list", "N"), 1, "models: M"),
        (("promote", "M"), 2, "expected NAME:VERSION"),
        (("pull", "M:1", "--version", "2", "--to", "device"), 2, "give one of them"),
        (("pull", "N", "--to", "device"), 1, "'N'"),
    ],
)
def test_what_is_wrong_is_said(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert main(["model", *arguments]) == code
    assert says in capsys.readouterr().err
    assert not Path("device").exists()


def test_a_tampered_model_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "workspace" / "models" / "M" / "1" / "model.onnx").write_bytes(b"x")
    assert main(["model", "show", "M:1"]) == 4
    assert "model.onnx" in capsys.readouterr().err


def test_an_empty_workspace_says_how_to_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(tmp_path / "new"), "model", "list"]) == 0
    assert "cva endpoint submit" in capsys.readouterr().out


def test_listing_and_showing_import_neither_mlflow_nor_torch() -> None:
    code = (
        "import sys; from model_training.cli.main import main; main(['model', 'list']); main(['model', 'show', 'M']);"
        "print([name for name in ('mlflow', 'torch', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
