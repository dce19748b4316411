"""A workspace with a dataset and a published pipeline, made once and copied for each test: a workspace can be moved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model_training.workspaces.local import LocalWorkspace
from tests.contracts.workspace_contract import JOB, TASK, pictures


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    workspace = LocalWorkspace.open(folder / "ws")
    workspace.datasets.create("caps", pictures(folder / "pictures"), task=TASK)
    workspace.endpoints.publish("train_caps", JOB, description="finds caps")
    return folder / "ws"


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty MLflow database: making its tables takes seconds, so it is made once and copied."""
    workspace = LocalWorkspace.open(tmp_path_factory.mktemp("tables") / "ws")
    workspace.tracking.names()
    return workspace.layout.mlflow.read_bytes()


@pytest.fixture
def published(prepared: Path, tmp_path: Path) -> LocalWorkspace:
    """Endpoint `train_caps`, version 1, and dataset `caps`."""
    shutil.copytree(prepared, tmp_path / "workspace")
    return LocalWorkspace.open(tmp_path / "workspace")
