"""The command line on an Azure ML workspace from memory: only the connection to the service is another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.main import main
from model_training.workspaces.azureml.service import Place
from tests.contracts.workspace_contract import TASK, pictures
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import Cloud, MemoryService

ENDPOINT = "automl_for_images_training_pipeline"


@dataclass
class Shell:
    """A person's shell. `connected` is what each command asked to be connected to."""

    service: MemoryService
    capsys: pytest.CaptureFixture[str]
    folder: Path
    connected: list[tuple[Place, str]] = field(default_factory=list)

    @property
    def cloud(self) -> Cloud:
        return self.service.cloud

    def cva(self, *words: str, code: int = 0) -> Any:
        """Its JSON."""
        out, err = self.said("--json", *words, code=code)
        try:
            return json.loads(out)
        except ValueError:
            raise AssertionError(f"no JSON: {out}\n{err}") from None

    def said(self, *words: str, code: int = 0) -> tuple[str, str]:
        self.capsys.readouterr()
        ended = main(["--workspace", "azureml", *words])
        said = self.capsys.readouterr()
        assert ended == code, f"exit {ended}\n{said.out}\n{said.err}"
        return said.out, said.err

    def at_each(self, call: str, *events: Callable[[], None]) -> None:
        """What happens at the next calls of that name, in this order; a call may fail by it."""
        waiting = list(events)

        def network(called: str) -> None:
            if called == call and waiting:
                waiting.pop(0)()

        self.service.network = network

    def ended(self, run_id: str, status: str, result: Any = None, error: str = "") -> Callable[[], None]:
        """An event: the run ends so."""

        def event() -> None:
            self.cloud.runs.change(run_id, status=status, error=error)
            if result is not None:
                self.cloud.runs.tag(run_id, {"cva_result": json.dumps(result)})

        return event


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], generation: str = "v1"
) -> Shell:
    monkeypatch.setenv("CVA_WORKSPACE", "azureml")
    monkeypatch.setenv("CVA_CACHE", str(tmp_path / "cache"))
    shell = Shell(MemoryService(Cloud(), generation), capsys, tmp_path)

    def connect(place: Place, generation: str) -> MemoryService:
        shell.connected.append((place, generation))
        return shell.service

    monkeypatch.setattr("model_training.workspaces.open.connect", connect)
    return shell


@pytest.fixture
def caps(shell: Shell) -> Shell:
    """With a data set, and the training pipeline published."""
    importer = opened(shell.cloud, shell.folder / "importer", "v1")[0]
    importer.datasets.create("caps", pictures(shell.folder / "pictures"), task=TASK)
    shell.cva("endpoint", "publish")
    shell.service.calls.clear()
    return shell


def make_small(shell: Shell, cluster: str, size: str) -> None:
    shell.cloud.computes[cluster] = replace(shell.cloud.computes[cluster], size=size)
