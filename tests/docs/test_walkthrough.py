"""What docs/azure-walkthrough.md tells people to type, open and look for is what the code has."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from model_training.cli.main import NOUNS, _global_options
from model_training.jobs.load import parse_job
from model_training.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "azure-walkthrough.md"
PAGE = FILE.read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.M | re.S)
BLOCKS = [text for language, text in FENCED if not language]
PROSE = re.sub(r"^```.*?^```", "", PAGE, flags=re.M | re.S)
SCRIPTS = (
    *sorted((ROOT / "infrastructure").glob("*.sh")),
    *sorted((ROOT / ".pipelines" / "scripts").glob("*.sh")),
)
THEIRS = "key based authentication is not permitted"  # the service says it, not we


def cva_commands() -> list[str]:
    """In blocks and in the text, without what the shell makes of the rest of the line."""
    typed = "\n".join(line for block in BLOCKS for line in block.splitlines() if not line.startswith("it goes on"))
    found = re.findall(r"(?:^|\$ |\$\(|^\.venv-azure/bin/)(cva (?:--json )?[a-z][^|>)#\n]*)", typed, re.M)
    return sorted({words.strip() for words in [*found, *re.findall(r"`(cva [a-z][^`]+)`", PROSE)]})


def split(command: str) -> list[str]:
    """Its words without `cva` and the options that every command has."""
    return _global_options().parse_known_args(shlex.split(command)[1:])[1]


@pytest.mark.parametrize("command", cva_commands())
def test_every_command_is_one(command: str) -> None:
    noun, *rest = split(command)
    parser = importlib.import_module(NOUNS[noun][0]).parser()
    verbs = {name for each in subparsers(parser) for name in each.choices}
    assert rest and rest[0] in verbs
    for each in subparsers(parser):
        each.choices[rest[0]].allow_abbrev = False
    if len(rest) > 1:
        parser.parse_args(rest)


def subparsers(parser: argparse.ArgumentParser) -> list[argparse._SubParsersAction[argparse.ArgumentParser]]:
    return [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]


def test_commands_are_found_at_all() -> None:
    nouns = {split(command)[0] for command in cva_commands()}
    assert {"data", "datastore", "endpoint", "job", "keys", "model", "settings", "workspace"} <= nouns


SIX = BLOCKS[0].splitlines()
LOOKS = r"--dry-run|^cva (workspace check|settings show|job \w+|endpoint (list|show))|^url=|^(az account|  curl|    )"


def test_at_most_six_commands_to_the_first_training_run() -> None:
    assert len(SIX) <= 6
    assert not [line for line in SIX if re.search(r"&&|;|\|", line)], "one command a line"
    assert SIX[0] == "make azure" and SIX[-1].startswith(".venv-azure/bin/cva endpoint submit ")
    assert len([line for line in SIX if line.startswith(".venv-azure/bin/cva ")]) == 3


def section(number: int) -> str:
    return PAGE.split(f"\n## {number}. ")[1].split("\n## ")[0]


@pytest.mark.parametrize("number", [1, 2, 3, 6, 7])
def test_nothing_else_has_to_be_typed_or_clicked_on_that_way(number: int) -> None:
    """What these sections show besides the six only looks, or is another way to do the same."""
    blocks = re.findall(r"^```\n(.*?)^```$", section(number), re.M | re.S)
    typed = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line[:1] not in ("", "#")]
    ours = r"(\$ )?(cva|az|make|git|infrastructure/|\.pipelines/|python3|pip|\. )\b"
    commands = [line for line in typed if re.match(ours, line)]
    other = [line for line in commands if line not in SIX and not re.search(LOOKS, line)]
    again = {"cva endpoint submit", "cva endpoint publish"}  # with the data set of the tests
    assert [line for line in other if " ".join(line.split()[:3]) not in again] == []
    assert not re.search(r"\bpaste\b|\bclick", section(number))


def test_the_first_of_them_installs_what_the_settings_say() -> None:
    for words, sdk in (
        (["azure"], load_settings(ROOT / "variable_template.yml").azureml_sdk),
        (["azure", "SDK=v2"], "v2"),
    ):
        done = subprocess.run(["make", "--dry-run", "--always-make", *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert f".pipelines/scripts/install.sh {sdk}\n" in done.stdout and "-m venv .venv-azure\n" in done.stdout


def test_every_step_says_what_one_then_sees() -> None:
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", PAGE, re.M)]
    assert numbers == list(range(1, 11))
    silent = [number for number in numbers if "**Then you see**" not in section(number)]
    assert silent == [8]  # it is about what is seen there


def test_options_of_our_scripts_are_theirs() -> None:
    named = re.findall(r"^(?:infrastructure|\.pipelines)\S*/(\w+\.sh) *(.*)$", "\n".join(BLOCKS), re.M)
    inline = re.findall(r"`(?:\S*/)?(\w+\.sh) (--[a-z-]+)`", PROSE)
    assert named and inline
    for script, rest in [*named, *inline]:
        [file] = [each for each in SCRIPTS if each.name == script]
        text = file.read_text(encoding="utf-8")
        assert [word for word in re.findall(r"--[a-z-]+", rest) if word not in text] == []


def test_options_that_stand_alone_are_somebodys() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", PROSE))
    assert len(named) > 5
    assert [option for option in sorted(named) if not re.search(rf"{option}(?![a-z-])", code())] == []


def test_every_file_that_it_names_is_there() -> None:
    links = [unquote(link) for link in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in link]
    named = re.findall(
        r"`((?:\.pipelines|infrastructure|model_training|requirements|scoring|tests|docs)/[^`\s]*)`", PAGE
    )
    named += re.findall(r"^((?:\.pipelines|infrastructure)/\S+)", "\n".join(BLOCKS), re.M)
    assert len(links) > 10 and len(named) > 5
    assert [link for link in links if not (FILE.parent / link).exists()] == []
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_setting_that_it_names_is_one() -> None:
    settings = {each.name.upper() for each in dataclasses.fields(Settings)}
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", PAGE))
    others = r"CVA_WORKSPACE|NAME_(YYYYMMDD|\d{8})_\w+|STANDARD_\w+"  # a variable, exported data sets, machine sizes
    named = {name for name in named if not re.fullmatch(others, name)}
    assert len(named) > 10
    assert named - settings == set()


@cache
def code() -> str:
    """Of everything that says something to people, with texts that go over several lines as one."""
    files = [path for package in ("model_training", "scoring") for path in (ROOT / package).rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*files, *SCRIPTS])
    return re.sub(r'"\s*\n\s*f?"', "", text)


def messages() -> list[str]:
    """The first column of the table of messages, by what stands between the places that vary."""
    table = PAGE.split("## When something goes wrong")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (.*?) \|", table, re.M)[2:]
    quoted = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    return [part.strip() for text in quoted if text != THEIRS for part in text.split("…") if part.strip()]


@pytest.mark.parametrize("message", messages())
def test_every_message_is_said_somewhere(message: str) -> None:
    pattern = (
        re.escape(message).replace(r"\(403\)", r"\((?:403|\{status\})\)").replace(r"\(429\)", r"\((?:429|\{status\})\)")
    )
    assert re.search(pattern, code()), message


def test_the_messages_are_found_at_all() -> None:
    assert len(messages()) > 15


def test_the_job_of_other_families_is_one_that_azure_takes() -> None:
    [text] = [text for language, text in FENCED if language == "yaml"]
    usual = yaml.safe_load((ROOT / "model_training/job_templates/object_detection.yml").read_text(encoding="utf-8"))
    job = parse_job(yaml.safe_dump({**usual, **yaml.safe_load(text)}), "docs/azure-walkthrough.md", target="azure")
    assert not job.warnings


def test_the_kinds_of_pipelines_are_all_imported() -> None:
    step = PAGE.split("## 4. ")[1].split("\n## ")[0]
    files = {path.name for path in (ROOT / ".pipelines").glob("*.yml")}
    assert {Path(name).name for name in re.findall(r"`(\.pipelines/[^`]+\.yml)`", step)} == files
    texts = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / ".pipelines").glob("*.yml"))
    environments = set(re.findall(r"environment: (model-\w+)", texts)) | {"cva-dev", "cva-prod"}
    assert environments <= set(re.findall(r"`([a-z-]+)`", step))
    assert set(re.findall(r"secureFile: (\S+)", texts)) <= set(re.findall(r"`([a-z.-]+)`", step))
