"""The step's own environment, and a person's shell in a clone whose settings name the fake's workspace."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fake_azure.secrecy import check_everything
from tests.step_environment.environment import step_python

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

__all__ = ["step_python"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Shell:
    """Signed in through the service connection, as an AzureCLI@2 task is."""

    environment: dict[str, str]
    folder: Path
    said: list[str] = field(default_factory=list)  # by all commands so far

    def cva(self, *words: str, code: int = 0) -> Any:
        """The command's JSON answer."""
        done = self.run("--json", *words)
        assert done.returncode == code, f"cva {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "model_training", "--workspace", "azureml", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        self.said.extend((done.stdout, done.stderr))
        return done


@pytest.fixture(params=["v1", "v2"])
def sdk(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shell(azure: FakeAzure, sdk: str, tmp_path: Path) -> Iterator[Shell]:
    """When the test has ended, no secret that the fake gave out is seen anywhere."""
    settings = {"AZUREML_SDK": sdk, "SUBSCRIPTION_ID": azure.state.subscription}
    lines = [f"- name: {name}\n  value: {value}\n" for name, value in settings.items()]
    (tmp_path / "variable_template.yml").write_text("variables:\n" + "".join(lines))
    environment = azure.signed_in(CVA_CACHE=str(tmp_path / "cache"), PYTHONPATH=str(ROOT))
    environment.pop("CVA_WORKSPACE", None)
    yield Shell(environment, tmp_path, azure.said)
    check_everything(azure, azure.said, tmp_path, azure.home)
    assert any("model_training" in words for words in azure.arguments), "the recorder of arguments does not work"
