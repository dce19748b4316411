"""Local commands never import an Azure package, and publishing imports nothing that trains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# A finder that refuses, in front of all others: an import that fails is louder than a list of modules afterwards.
REFUSING = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top.startswith({refused!r}):
            raise AssertionError(f"imported: {{name}}")

sys.meta_path.insert(0, Refuse())
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
AZURE = ("azure", "msrest", "msal")
TRAINING = ("torch", "mlflow", "optuna", "timm", "cv2", "onnx", *AZURE)
FROM_MEMORY = """
import model_training.workspaces.open as opening
from tests.workspaces.azureml.memory import Cloud, MemoryService
cloud = Cloud()
opening.connect = lambda place, generation: MemoryService(cloud, generation)
"""
ROOT = Path(__file__).resolve().parents[2]


def run(commands: list[list[str]], refused: tuple[str, ...], before: str = "") -> str:
    program = REFUSING.format(commands=commands, refused=refused, before=before)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=False
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


def test_the_finder_refuses() -> None:
    """Or the tests above would prove nothing."""
    with pytest.raises(AssertionError, match="imported: azure"):
        run([["--workspace", "azureml", "endpoint", "list"]], AZURE)
