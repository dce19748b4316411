"""The Azure ML workspace passes the contract over the real SDK v1 and the fake control plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model_training.workspaces.azureml.workspace import AzureWorkspace
from tests.workspaces.azureml import test_contract_v2
from tests.workspaces.azureml.azure_parts import instantly, staged

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure
    from tests.workspaces.azureml.remote import Remote


class TestOverSdkV1(test_contract_v2.TestOverAzureAiMl):
    @pytest.fixture
    def workspace(self, azure: FakeAzure, v1: Remote, tmp_path: Path) -> AzureWorkspace:
        stage = staged(tmp_path / "staged")
        return AzureWorkspace(v1, tmp_path / "here", stage=stage, patience=instantly())
