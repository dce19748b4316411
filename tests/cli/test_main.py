"""What every command has in common: errors in words, exit codes, JSON, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from model_training.cli.main import NOUNS, main


def test_an_unknown_noun_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["modle"]) == 2
    assert "model" in capsys.readouterr().err


def test_without_words_it_shows_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "cva demo" in capsys.readouterr().out


@pytest.mark.parametrize("noun", sorted(NOUNS))
def test_every_noun_explains_itself(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([noun, "--help"])
    assert ended.value.code == 0
    assert f"cva {noun}" in capsys.readouterr().out


def test_an_error_is_json_when_json_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "show", "Nothing", "--json"]) == 1
    printed = capsys.readouterr()
    error = json.loads(printed.out)["error"]
    assert error["type"] == "NotFoundError" and "Nothing" in error["message"]
    assert "Nothing" in printed.err and "Traceback" not in printed.err


def test_problems_are_in_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job.yml").write_text("type: automl\ntask: image_object_detection\nlimitz: {}\n")
    assert main(["--json", "job", "validate", str(tmp_path / "job.yml")]) == 2
    assert any("limitz" in problem for problem in json.loads(capsys.readouterr().out)["error"]["problems"])


def test_a_file_where_a_folder_is_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--workspace", str(tmp_path / "file"), "workspace", "info"]) != 0
    assert "file" in capsys.readouterr().err


def test_a_light_installation_says_what_training_needs(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['orjson'] = None; from model_training.cli.main import main;"
        "sys.exit(main(['data', 'import', '.', '--format', 'coco', '--name', 'caps']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "training extra" in done.stderr and "orjson" in done.stderr and "Traceback" not in done.stderr
