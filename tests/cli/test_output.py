"""What people read holds nothing that a terminal obeys; what programs read is unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_training.cli.main import main
from model_training.cli.output import Output

STRANGE = "a\x1b]0;gone\x07\r\x9b2J\u202eb"
HALF = "a\ud800b\udcff"  # of a surrogate pair: JSON may hold it, and a file's name that is no UTF-8


def test_words_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.say(f"{STRANGE}\n\tsecond line, Größe")
    out.warn(STRANGE)
    out.table(["label"], [[STRANGE]])
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert text.replace("\n", "").replace("\t", "").isprintable()
    assert "second line, Größe" in printed.out and "gone" in printed.err


def test_what_utf_8_has_no_bytes_for_is_shown_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.say(HALF)
    out.warn(HALF)
    out.json({"name": HALF})
    printed = capfd.readouterr()
    text, data = printed.out.splitlines()
    assert text == "a\ufffdb\ufffd" and printed.err == "warning: a\ufffdb\ufffd\n"
    assert json.loads(data) == {"name": HALF}


def test_an_error_is_plain_and_its_json_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / STRANGE)
    assert main(["--json", "score", "x.jpg", "--bundle", path]) == 1
    printed = capsys.readouterr()
    assert printed.err.replace("\n", "").isprintable()
    assert path in json.loads(printed.out)["error"]["message"]
