"""What a user gets from the settings and the infrastructure as they are: SDK v1's endpoint, a storage without keys.

Azure documents that AutoML of SDK v1 reads no such data, and the fake refuses it: the step, published by the real
azureml-sdk, submits the AutoML run by the real azure-ai-ml, and finds it again on another node.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.conftest import Shell
from tests.end_to_end.node import step_of
from tests.end_to_end.test_azure import MODEL, TAGS, trained
from tests.end_to_end.test_faults import Stage
from tests.packaging.automl_exports import draw

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

THROUGH_V2 = "AutoML through SDK v2: datastore workspaceblobstore holds no keys"


@pytest.fixture
def sdk() -> str:
    return "v1"


@pytest.fixture
def stage(azure: FakeAzure, shell: Shell, step_python: str, tmp_path: Path) -> Stage:
    draw(shell.folder / "pictures", "p", 40, 1)
    shell.cva("data", "import", "pictures/p.jsonl", "--format", "jsonl", "--name", "caps")
    shell.cva("endpoint", "publish")
    return Stage(azure, shell, step_python, tmp_path / "nodes")


def test_the_shipped_defaults_train_through_v2_and_register_with_v1(azure: FakeAzure, stage: Stage) -> None:
    assert list(azure.state.datasets) == ["caps"] and not azure.state.data, "its parts are for whoever trains"
    run = stage.ask()
    process = stage.node("lost").start(run)
    stage.until_automl_runs(process)
    process.kill()
    said, _ = process.communicate(timeout=60)
    assert THROUGH_V2 in said

    (automl,) = stage.automl()
    automl.extra["outcome"] = trained(stage.folder / "left")
    out, _ = stage.node("another").run(run)
    assert THROUGH_V2 in out and len(stage.automl()) == 1, "it went on with the run that it had begun"
    assert (automl.id[:7], automl.tags["cva_run"]) == ("automl_", step_of(azure, run).id)
    assert automl.body["jobType"] == "AutoML"
    assert "/data/caps-train/versions/1" in automl.body["taskDetails"]["trainingData"]["uri"]
    assert not azure.requests.find(path="/jasmine/"), "nothing was asked of AutoML of v1"

    result = json.loads(out.splitlines()[-1])
    assert (result["model"], result["version"], result["champion"]) == (MODEL, 1, True)
    (endpoint,) = azure.state.endpoints.values()
    (model,) = azure.state.models[MODEL].values()
    assert endpoint.generation == "v1" and set(TAGS) <= set(model.tags)
    published = endpoint.versions[0]
    assert model.properties["cva_source_sha256"] == published.properties["cva_source_sha256"]
    assert model.properties["cva_environment"].startswith("automl_for_images_training_env:")
    assert list(azure.state.datasets) == ["caps"]
    assert {name: versions[1].kind for name, versions in azure.state.data.items()} == {
        "caps-train": "mltable",
        "caps-val": "mltable",
        "caps-test": "mltable",
    }
    azure.assert_clean()
