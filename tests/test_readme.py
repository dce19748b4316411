"""README stays true: its links lead somewhere, its commands are commands, its table of files is the tree."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from model_training.cli.main import NOUNS, _global_options

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", README, re.M | re.S)
INLINE = re.findall(r"`(cva [^`]+)`", README)


def _commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
    typed = [line for line in lines if re.match(r"(\.venv/bin/)?cva \w", line)]
    return sorted({re.sub(r"^\.venv/bin/", "", line) for line in typed} | set(INLINE))


@pytest.mark.parametrize("command", _commands())
def test_every_command_is_one(command: str) -> None:
    words = _global_options().parse_known_args(shlex.split(command)[1:])[1]
    if words[0].isupper() or words == ["--help"]:
        return
    parser = importlib.import_module(NOUNS[words[0]][0]).parser()
    try:
        parser.parse_args(words[1:])
    except SystemExit as end:  # 2 where it does not know them, 0 after --help
        assert end.code == 0


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_tree_that_is_printed_is_there() -> None:
    block = next(block for block in BLOCKS if "variable_template.yml  the one file" in block)
    folder, missing = ROOT, []
    for line in block.splitlines():
        indent = len(line) - len(line.lstrip())
        names = re.split(r"\s{2,}", line.strip())[0].split()
        if not indent:
            folder = ROOT / names[0]
        missing += [name for name in names if not ((folder if indent else ROOT) / name).exists()]
    assert missing == []
