"""Local commands never import an Azure package, and publishing imports nothing that trains.

Those that work for long are held to it where they are tested: the demo (import, submit, train, score, pull: test_demo),
`job run` and its trials (test_job), `serve` (tests/scoring/server/process.py).
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.refusing import AZURE, environment, refuse_here

PROGRAM = """
{before}
from model_training.cli.main import main
codes = []
for words in {commands!r}:
    try:
        codes.append(main(words))
    except SystemExit as end:
        codes.append(end.code)
print(codes)
"""
TRAINING = ("torch", "mlflow", "optuna", "timm", "cv2", "onnx", *AZURE)
FROM_MEMORY = """
import model_training.workspaces.open as opening
from tests.workspaces.azureml.memory import Cloud, MemoryService
cloud = Cloud()
opening.connect = lambda place, generation: MemoryService(cloud, generation)
"""


def run(commands: list[list[str]], refused: tuple[str, ...], before: str = "") -> str:
    program = PROGRAM.format(commands=commands, before=before)
    given = {**os.environ, **environment(*refused)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=given, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "imported:" not in done.stdout + done.stderr, done.stderr
    return done.stdout


def test_local_commands_import_no_azure_package() -> None:
    nouns = ("data", "endpoint", "model", "cluster", "job", "datastore")
    commands = [[noun, "list"] for noun in nouns]
    commands += [["--help"], ["settings", "show"], ["workspace", "info"], ["workspace", "doctor"]]
    commands += [["endpoint", "publish"], ["endpoint", "show"], ["endpoint", "submit", "--help"]]
    assert run(commands, AZURE).endswith(f"{[0] * len(commands)}\n")


def test_publishing_imports_nothing_that_trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the connection itself is from memory here: so that the pipeline that publishes installs no torch."""
    monkeypatch.setenv("CVA_CACHE", str(tmp_path / "cache"))
    commands = [
        ["--workspace", "azureml", "--json", "endpoint", "publish", *kind] for kind in ([], ["--kind", "batch-scoring"])
    ]
    out = run(commands, TRAINING, FROM_MEMORY).splitlines()
    assert out[-1] == "[0, 0]"
    assert [json.loads(line)["version"] for line in out[:-1]] == [0, 0]


def test_the_finder_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the tests above would prove nothing."""
    with pytest.raises(AssertionError, match="imported: azure"):
        run([["--workspace", "azureml", "endpoint", "list"]], AZURE)
    import azure.core

    refuse_here(monkeypatch, *AZURE)
    with pytest.raises(AssertionError, match="imported: azure"):
        importlib.import_module(azure.core.__name__)
    child = [
        sys.executable,
        "-c",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import azure.core'])",
    ]
    done = subprocess.run(child, capture_output=True, text=True, timeout=60, check=False)
    assert "AssertionError: imported: azure" in done.stderr
