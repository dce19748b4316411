"""`cva datastore …` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from model_training.cli.main import main


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    (tmp_path / "captures" / "may").mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(tmp_path / "captures" / "may" / "a.jpg")
    (tmp_path / "captures" / "notes.txt").write_text("words")
    return tmp_path / "captures"


def test_add_list_and_browse(captures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datastore", "list"]) == 0
    assert "cva datastore add" in capsys.readouterr().out
    assert main(["datastore", "add", "edgevisionstorage", str(captures)]) == 0
    assert "AmlDatastore://edgevisionstorage/" in capsys.readouterr().out
    assert main(["datastore", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "edgevisionstorage", "root": str(captures)}]
    assert main(["datastore", "browse", "edgevisionstorage", "**/*.jpg"]) == 0
    out = capsys.readouterr().out
    assert "may/a.jpg" in out
    assert "8 x 6" in out
    assert "notes.txt" not in out
    assert main(["datastore", "browse", "edgevisionstorage", "--limit", "1", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["files"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add", "d", "https://a.blob.core.windows.net/c?sig=SECRET"], 2, "found an address"),
        (["add", "d", "nowhere"], 1, "expected a folder"),
        (["add", "a b", "."], 2, "letters"),
        (["browse", "none"], 1, "cva datastore add none"),
    ],
)
def test_mistakes(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datastore", *words]) == code
    err = capsys.readouterr().err
    assert said in err
    assert "SECRET" not in err
    assert "Traceback" not in err


def test_labelled_data_in_a_datastore_is_imported(captures: Path, tmp_path: Path) -> None:
    main(["datastore", "add", "edge", str(captures)])
    box = {"label": "cap", "topX": 0.1, "topY": 0.1, "bottomX": 0.6, "bottomY": 0.6}
    line = {"image_url": "AmlDatastore://edge/may/a.jpg", "label": [box]}
    (tmp_path / "data.jsonl").write_text(json.dumps(line) + "\n")
    assert main(["data", "import", str(tmp_path / "data.jsonl"), "--name", "caps"]) == 0
    line["image_url"] = "AmlDatastore://other/may/a.jpg"
    (tmp_path / "data.jsonl").write_text(json.dumps(line) + "\n")
    assert main(["data", "import", str(tmp_path / "data.jsonl"), "--name", "caps"]) == 1
