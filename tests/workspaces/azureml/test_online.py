"""`cva model deploy` with the real azure-ai-ml: the sample model's own script answers its golden images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure
    from tests.workspaces.azureml.remote import Remote

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "samples" / "Cap_Detection_Model"
DEPLOY = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from model_training.workspaces.azureml.online import OnlineRequest, deploy
from model_training.workspaces.azureml.service import Place
from model_training.workspaces.azureml.v2 import V2Service
from scoring.errors import CvaError
given = json.loads(sys.stdin.read())
service = V2Service.connect(Place(*given["place"]))
answers = []
for version, bundle in given["bundles"]:
    try:
        answers.append(asdict(deploy(service._client, OnlineRequest("Caps", version, Path(bundle)))))
    except CvaError as error:
        answers.append({"error": type(error).__name__, "message": error.message})
print(json.dumps(answers))
"""


def deployed(azure: FakeAzure, *bundles: tuple[int, Path]) -> list[dict[str, Any]]:
    place = [azure.state.subscription, azure.state.resource_group, azure.state.workspace]
    given = {"place": place, "bundles": [(version, str(bundle)) for version, bundle in bundles]}
    done = subprocess.run(
        [sys.executable, "-c", DEPLOY],
        input=json.dumps(given),
        env=azure.on_cluster(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_version_gets_the_calls_when_it_answers_its_golden_images_and_only_then(
    azure: FakeAzure, v2: Remote, tmp_path: Path
) -> None:
    """The second version expects other boxes than the registered model gives: the first one goes on."""
    import shutil

    v2.register_model("Caps", SAMPLE, tags={}, properties={})
    v2.register_model("Caps", SAMPLE, tags={}, properties={})
    other = tmp_path / "other"
    shutil.copytree(SAMPLE, other)
    expected = json.loads((other / "golden" / "expected.json").read_text())
    for image in expected["images"]:
        image["boxes"] = []
    (other / "golden" / "expected.json").write_text(json.dumps(expected))
    first, second = deployed(azure, (1, SAMPLE), (2, other))
    golden = json.loads((SAMPLE / "golden" / "expected.json").read_text())
    assert (first["deployment"], first["tested"]) == ("v01", len(golden["images"]))
    assert first["scoring_url"] == f"https://{first['endpoint']}.westeurope.inference.ml.azure.com/score"
    assert second["error"] == "SelfTestError"
    assert "unexpected" in second["message"]
    record = azure.state.own["v2"]["online"][first["endpoint"]]
    assert list(record["deployments"]) == ["v01"]
    assert record["body"]["properties"]["traffic"] == {"v01": 100}
    assert record["body"]["properties"]["authMode"] == "AADToken"
    ((_, environment),) = azure.state.own["v2"]["environments"].items()
    for package in ("onnxruntime==", "azureml-inference-server-http=="):
        assert package in environment["properties"]["condaFile"]
    azure.assert_clean()


def test_a_version_that_is_not_registered_is_said_to_be_so(azure: FakeAzure) -> None:
    (answer,) = deployed(azure, (7, SAMPLE))
    assert answer["error"] in ("NotFoundError", "UsageError")
    assert "Caps" in answer["message"]


def test_an_authentication_that_there_is_not_is_refused() -> None:
    from model_training.workspaces.azureml.online import OnlineRequest, deploy
    from model_training.workspaces.azureml.service import Place
    from model_training.workspaces.azureml.v2.client import Client
    from scoring.errors import UsageError

    client = Client(Place("s", "g", "w"), None)
    with pytest.raises(UsageError, match="aad_token, key"):
        deploy(client, OnlineRequest("Caps", 1, SAMPLE, authentication="none"))
