"""`--json`: one object on stdout whatever happens, a wrong argument included."""

from __future__ import annotations

import json

import pytest

from model_training.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model", "pull", "--to", "device"], "required: model"),
        (["model", "pull", "Caps"], "required: --to"),
        (["model", "pull", "Caps", "--to", "device", "--signatures", "maybe"], "invalid choice: 'maybe'"),
        (["serve", "--port", "x"], "expected a port from 0 to 65535, found 'x'"),
        (["serve", "--max-pixels", "179"], "expected megapixels from 1 to 178"),
        (["modle"], "there are: demo"),
    ],
)
def test_a_wrong_argument_is_an_object_too(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--json", *arguments]) == 2
    printed = capsys.readouterr()
    [line] = printed.out.splitlines()
    error = json.loads(line)["error"]
    assert error["type"] == "UsageError" and words in error["message"]
    assert words in printed.err


def test_without_json_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["model", "pull", "--to", "device"])
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert printed.err.startswith("usage: cva model pull")


def test_help_that_nobody_asked_for_is_not_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "model"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "publish-static" in printed.err
