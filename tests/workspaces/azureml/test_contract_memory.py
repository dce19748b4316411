"""The Azure ML workspace passes the contract over a service from memory, in both generations' ways of counting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from model_training.workspaces.azureml.service import Container
from model_training.workspaces.azureml.workspace import AzureWorkspace
from model_training.workspaces.base import BestTrial
from tests.contracts.workspace_contract import WorkspaceContract
from tests.workspaces.azureml.azure_parts import opened, put
from tests.workspaces.azureml.memory import Cloud
from tests.workspaces.azureml.memory_runs import Script, ScriptedTrial


class OverMemory(WorkspaceContract):
    generation = ""

    @pytest.fixture
    def cloud(self) -> Cloud:
        return Cloud()

    @pytest.fixture
    def workspace(self, cloud: Cloud, tmp_path: Path) -> AzureWorkspace:
        return opened(cloud, tmp_path / "here", self.generation)[0]

    @pytest.fixture
    def cluster(self) -> str:
        return "gpu-cluster"

    @pytest.fixture
    def place(self, cloud: Cloud) -> Callable[[Path], str]:
        def upload(folder: Path) -> str:
            cloud.stores["uploaded"] = Container("uploaded", "edgestorage", folder.name)
            put(cloud, folder, "", "uploaded")
            return cloud.stores.pop("uploaded").url  # the container stays, no datastore names it yet

        return upload

    @pytest.fixture
    def sweep(self, cloud: Cloud) -> Callable[[BestTrial], None]:
        def answer(best: BestTrial) -> None:
            trials = []
            for trial in best.leaderboard:
                metrics = {name: [value] for name, value in trial.metrics.items() if value is not None}
                trials.append(ScriptedTrial(metrics, {"model_name": trial.algorithm, **trial.hyperparameters}))
            cloud.script = Script(trials, best.best.number)

        return answer


class TestFirstGeneration(OverMemory):
    generation = "v1"


class TestSecondGeneration(OverMemory):
    generation = "v2"
