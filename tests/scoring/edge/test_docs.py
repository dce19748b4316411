"""What docs/edge.md tells people to type is what the commands take, and its Python runs."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.main import NOUNS
from scoring.edge.publish import publish
from scoring.edge.registry import LocalRegistry
from scoring.edge.signing import Signer
from scoring.edge.trust import Trust

PAGE = (Path(__file__).resolve().parents[3] / "docs/edge.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    cva (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_one(line: str) -> None:
    noun, *arguments = shlex.split(line)
    args = importlib.import_module(NOUNS[noun][0]).parser().parse_args(arguments)
    assert callable(args.run)


def test_the_options_that_it_names_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module(NOUNS["model"][0]).parser().parse_args(["pull", "--help"])
    said = capsys.readouterr().out
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    others = {
        "--out",
        "--name",
        "--keys",
        "--reason",
        "--recursive",
        "--bundle",
        "--json",
        "--reload-seconds",
        "--model",
    }
    assert {name for name in named - others if name not in said} == set()


def test_its_python_runs(
    shelf: Any, signer: Callable[[str], Signer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.put(1)
    folder = publish(LocalRegistry(shelf.models), "Caps", "1", tmp_path / "pub", signer=signer("a")).folder
    Trust().add(signer("a").public).write(tmp_path / "trusted_keys.json")
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    code = code.replace("/opt/models/Cap_Detection_Model/current", str(folder)).replace("/opt/models", str(tmp_path))
    names: dict[str, Any] = {}
    exec(compile(code, "docs/edge.md", "exec"), names)
    assert names["bundle"].manifest.name == "Caps" and names["release"].version == 1


def test_every_exit_code_is_told() -> None:
    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == ["0", "1", "2", "3", "4", "5", "6", "75"]
