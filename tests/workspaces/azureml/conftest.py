"""Services in processes of their own, signed in as a managed identity; a workspace in memory where AutoML trains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contracts.workspace_contract import TASK, pictures
from tests.workspaces.azureml.automl_parts import COURSE, SECOND
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import Cloud
from tests.workspaces.azureml.memory_runs import Script, ScriptedTrial

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure
    from tests.workspaces.azureml.remote import Remote


@pytest.fixture(scope="session")
def v2_process(azure_server: FakeAzure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Remote, str]]:
    """The process, and the secret of the identity that it was started with."""
    from tests.workspaces.azureml.remote import Remote

    log = tmp_path_factory.mktemp("v2") / "stderr.txt"
    remote = Remote("v2", azure_server.on_cluster(), log)
    yield remote, azure_server.state.identity_secret
    remote.close()


@pytest.fixture
def v2(azure: FakeAzure, v2_process: tuple[Remote, str]) -> Remote:
    """The service over the fake's present workspace."""
    from model_training.workspaces.azureml.service import Place

    remote, azure.state.identity_secret = v2_process
    remote.open(Place(azure.state.subscription, azure.state.resource_group, azure.state.workspace))
    return remote


@pytest.fixture(scope="session")
def v1_process(azure_server: FakeAzure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Remote, str]]:
    """The same for SDK v1; it waits no seconds between its tries."""
    from tests.workspaces.azureml.remote import Remote

    log = tmp_path_factory.mktemp("v1") / "stderr.txt"
    waits = ("AZUREML_DEFAULT_BACKOFF", "AZUREML_DEFAULT_500_BACKOFF", "AZUREML_DEFAULT_503_BACKOFF")
    environment = azure_server.on_cluster(**dict.fromkeys(waits, "0"))
    environment["CVA_TEST_LONGEST_WAIT"] = "0.05"  # seconds; its storage client has no setting for them
    remote = Remote("v1", environment, log)
    yield remote, azure_server.state.identity_secret
    remote.close()


@pytest.fixture
def v1(azure: FakeAzure, v1_process: tuple[Remote, str]) -> Remote:
    from model_training.workspaces.azureml.service import Place

    remote, azure.state.identity_secret = v1_process
    azure.state.keep_keys()  # AutoML of v1 reads no other data
    remote.open(Place(azure.state.subscription, azure.state.resource_group, azure.state.workspace))
    return remote


@pytest.fixture
def step_folder(tmp_path: Path) -> Path:
    """What publishing stages, in small."""
    folder = tmp_path / "step"
    (folder / "model_training").mkdir(parents=True)
    (folder / "requirements").mkdir()
    (folder / "model_training" / "step.py").write_text("print('step')\n")
    (folder / "requirements" / "step.txt").write_text("# pins\nazure-ai-ml==1.35.2\nnumpy==2.3.5  # arrays\n")
    return folder


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud()
    importer, _ = opened(cloud, tmp_path / "importer")
    importer.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)
    cloud.script = Script([SECOND, ScriptedTrial(COURSE)], best=1)
    return cloud


@pytest.fixture
def run_id(cloud: Cloud, tmp_path: Path) -> str:
    return opened(cloud, tmp_path / "submitter")[0].runs.create(kind="job", experiment="caps", parameters={}).id
