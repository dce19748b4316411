"""docs/search.md says what is true: its options exist, its dry run runs, its answer is the golden one."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path

from model_training.cli.main import main
from scoring.search.cli import parser
from scoring.search.client import API_VERSION
from scoring.search.definitions import Plan, definitions
from scoring.server.settings import MIB, ServeSettings
from tests.scoring.search.test_definitions import REQUIRED

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")


def options() -> set[str]:
    [verbs] = [each for each in parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return {name for verb in verbs.choices.values() for each in verb._actions for name in each.option_strings}


def test_every_option_that_it_names_exists_and_every_option_is_named() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) - {"--resource", "--query"}  # of az
    assert named == options() - {"--help", "-h", "--top"}


def test_its_dry_run_runs(tmp_path: Path) -> None:
    [command] = re.findall(r"(cva search setup --name.*?)\n\s*```", TEXT, re.DOTALL)
    assert main(shlex.split(command.replace("\\\n", " "))[1:]) == 0
    assert {each.name for each in (tmp_path / "search").iterdir()} <= set(re.findall(r"\w+\.json", TEXT))


def test_its_answer_is_the_golden_file() -> None:
    [block] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    golden = ROOT / "tests" / "contracts" / "skill" / "answer_partial_failure.json"
    assert json.loads(block) == json.loads(golden.read_text())


def test_its_names_fields_and_numbers() -> None:
    made = definitions(Plan(**REQUIRED))
    for definition in made.values():
        assert f"`{definition['name']}`" in TEXT
    for field in made["indexes"]["fields"]:
        assert f"`{field['name']}`" in TEXT
    defaults, serve = Plan(**REQUIRED), ServeSettings()
    for option, value in {
        "--image-side PX": defaults.image_side,
        "--batch-size N": defaults.batch_size,
        "--parallel N": defaults.parallel,
        "--timeout S": defaults.timeout,
        "--skill-key-header H": f"`{defaults.skill_key_header}`",
    }.items():
        assert f"| `{option}` | {value} |" in TEXT
    assert f"`api-version={API_VERSION}`" in TEXT
    assert f"{serve.max_body // MIB} MiB" in TEXT
    assert f"`max_images` ({serve.max_images})" in TEXT
    assert f"at most {serve.skill_seconds:g} s" in TEXT
