"""The Azure ML workspace passes the contract over the real azure-ai-ml and the fake control plane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model_training.workspaces.azureml.workspace import AzureWorkspace
from model_training.workspaces.base import BestTrial
from tests.contracts.workspace_contract import WorkspaceContract
from tests.workspaces.azureml.azure_parts import instantly, staged
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure


class TestOverAzureAiMl(WorkspaceContract):
    @pytest.fixture
    def workspace(self, azure: FakeAzure, v2: Remote, tmp_path: Path) -> AzureWorkspace:
        stage = staged(tmp_path / "staged")
        return AzureWorkspace(v2, tmp_path / "here", stage=stage, patience=instantly())

    @pytest.fixture
    def cluster(self) -> str:
        return "gpu-cluster"

    @pytest.fixture
    def place(self, azure: FakeAzure) -> Callable[[Path], str]:
        def upload(folder: Path) -> str:
            account, container = azure.state.edge_account, f"{folder.name}-{azure.state.workspace_id[:8]}"
            azure.state.add_container(account, container)
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    name = path.relative_to(folder).as_posix()
                    azure.blobs.put(container, name, path.read_bytes(), account=account)
            return f"https://{account}.blob.core.windows.net/{container}"

        return upload

    @pytest.fixture
    def sweep(self, azure: FakeAzure) -> Callable[[BestTrial], None]:
        from tests.fake_azure.v2.automl import Outcome, Trial, script
        from tests.workspaces.azureml.memory_runs import ScriptedTrial

        def answer(best: BestTrial) -> None:
            trials = []
            for trial in best.leaderboard:
                metrics = {name: [value] for name, value in trial.metrics.items() if value is not None}
                hyperparameters = {"model_name": trial.algorithm, **trial.hyperparameters}
                trials.append(Trial(ScriptedTrial().files, metrics, hyperparameters))
            script(azure.state, Outcome(trials, best=best.best.number))

        return answer
