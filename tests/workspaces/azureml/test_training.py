"""Which generation of the SDK a v1 endpoint's step trains through, by its data set and its datastores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model_training.workspaces.azureml.service import Container
from model_training.workspaces.azureml.workspace import AzureWorkspace
from model_training.workspaces.base import Event
from tests.contracts.workspace_contract import TASK, pictures
from tests.workspaces.azureml.automl_parts import COURSE, KilledError, automl_runs, train
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import Cloud, MemoryService
from tests.workspaces.azureml.memory_runs import Script, ScriptedTrial

PARTS = ("caps-train", "caps-val", "caps-test")


@pytest.fixture
def cloud() -> Cloud:
    """A workspace as infrastructure/ makes it."""
    cloud = Cloud(script=Script([ScriptedTrial(COURSE)], best=0))
    cloud.forget_keys()
    return cloud


def imported(cloud: Cloud, folder: Path, generation: str = "v1") -> None:
    """As a person does it, whose machine has one generation's packages alone."""
    opened(cloud, folder / "importer", generation)[0].datasets.create("caps", pictures(folder / "pictures"), task=TASK)


def step(cloud: Cloud, folder: Path) -> tuple[AzureWorkspace, MemoryService, MemoryService]:
    newer = MemoryService(cloud, "v2")
    return *opened(cloud, folder, "v1", newer=newer), newer


def registered(cloud: Cloud, generation: str) -> list[tuple[str, str]]:
    return [(asset.name, asset.kind) for asset in cloud.data[generation] if asset.name != "caps"]


def begun(cloud: Cloud) -> str:
    return opened(cloud, Path("/nowhere"), "v1")[0].runs.create(kind="job", experiment="caps", parameters={}).id


def test_data_without_keys_is_trained_on_through_v2(cloud: Cloud, tmp_path: Path) -> None:
    imported(cloud, tmp_path)
    assert registered(cloud, "v1") == registered(cloud, "v2") == [], "v2's parts are the step's task"
    workspace, older, newer = step(cloud, tmp_path / "step")
    said: list[Event] = []
    workspace.datasets.split(workspace.datasets.get("caps"), said.append)
    train(workspace, begun(cloud))
    assert "AutoML through SDK v2: datastore workspaceblobstore holds no keys" in [event.text for event in said]
    assert (registered(cloud, "v1"), registered(cloud, "v2")) == ([], [(name, "mltable") for name in PARTS])
    assert "submit_automl" in newer.calls and "submit_automl" not in older.calls
    (request,) = cloud.requests
    assert (request.train.name, request.train.kind, request.name[:7]) == ("caps-train", "mltable", "automl_")


def test_data_with_keys_stays_with_v1(cloud: Cloud, tmp_path: Path) -> None:
    cloud.stores = {name: replace(store, holds_keys=True) for name, store in cloud.stores.items()}
    imported(cloud, tmp_path)
    workspace, older, newer = step(cloud, tmp_path / "step")
    train(workspace, begun(cloud))
    assert registered(cloud, "v1") == [(name, "tabular") for name in PARTS]
    assert "submit_automl" in older.calls and newer.calls == []


def test_a_data_asset_of_v2_is_trained_on_through_v2(cloud: Cloud, tmp_path: Path) -> None:
    cloud.stores = {name: replace(store, holds_keys=True) for name, store in cloud.stores.items()}
    imported(cloud, tmp_path, "v2")
    workspace, older, _newer = step(cloud, tmp_path / "step")
    said: list[Event] = []
    workspace.datasets.split(workspace.datasets.get("caps"), said.append)
    train(workspace, begun(cloud))
    assert "AutoML through SDK v2: caps:1 is a data asset (mltable) of SDK v2" in [event.text for event in said]
    assert registered(cloud, "v1") == [] and "submit_automl" not in older.calls


def test_one_datastore_of_images_without_keys_is_enough(cloud: Cloud, tmp_path: Path) -> None:
    """Captures that stay where they are, in a container whose datastore holds none."""
    cloud.stores = {name: replace(store, holds_keys=True) for name, store in cloud.stores.items()}
    cloud.stores["captures"] = Container("captures", "edgestorage", "captures")
    for row in pictures(tmp_path / "pictures"):
        cloud.files("captures")[Path(row.image_url).name] = Path(row.image_url).read_bytes()
    rows = [
        replace(row, image_url=f"AmlDatastore://captures/{Path(row.image_url).name}")
        for row in pictures(tmp_path / "pictures")
    ]
    importer = opened(cloud, tmp_path / "importer", "v1")[0]
    importer.datasets.create("caps", rows, task=TASK, reference=True)
    said: list[Event] = []
    workspace, _, _ = step(cloud, tmp_path / "step")
    workspace.datasets.split(workspace.datasets.get("caps"), said.append)
    assert "AutoML through SDK v2: datastore captures holds no keys" in [event.text for event in said]


def test_a_step_that_is_started_again_goes_on_with_the_run_of_v2(cloud: Cloud, tmp_path: Path) -> None:
    imported(cloud, tmp_path)
    run_id = begun(cloud)
    workspace, _, newer = step(cloud, tmp_path / "first node")

    def dies(call: str) -> None:
        if call == "metrics":
            raise KilledError

    newer.network = dies
    with pytest.raises(KilledError):
        train(workspace, run_id)
    workspace, _, newer = step(cloud, tmp_path / "second node")
    newer.behind = 10**6  # no search shows it yet
    train(workspace, run_id)
    assert len(cloud.requests) == len(automl_runs(cloud)) == 1
    assert len(registered(cloud, "v2")) == 3
