"""The whole Azure side without Azure: the real SDK clients, the real step, a fake control plane, real blobs.

From a service connection's federated login to a device that finds objects: import, publish twice, back to the first
version, submit (command line and REST), the step on its node, AutoML served with the files that the service leaves, the
registered model with its tags, a verified pull, boxes. For both generations of the SDK. What a pipeline does is done by
the scripts of .pipelines; the release to devices is the same for both, so it is made of v1's model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.conftest import Shell
from tests.end_to_end.node import Node, step_of
from tests.fake_azure.state import DatastoreRecord
from tests.fake_azure.v2.automl import Outcome, Trial, script
from tests.packaging.automl_exports import COLOURS, YOLO, draw, graph, leave
from tests.pipelines.on_azure import Agent

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ENDPOINT = "automl_for_images_training_pipeline"
MODEL = "Cap_Detection_Model"
ASKED = {"DATASET_NAME": "caps", "MODEL_NAME": MODEL}
TAGS = {"Mean Average Precision": "mean_average_precision", "Precision": "precision", "Recall": "recall"}


@pytest.fixture
def caps(shell: Shell) -> Any:
    draw(shell.folder / "pictures", "p", 40, 1)
    return shell.cva("data", "import", "pictures/p.jsonl", "--format", "jsonl", "--name", "caps")


@pytest.fixture
def node(azure: FakeAzure, step_python: str, tmp_path: Path) -> Node:
    return Node(azure, step_python, tmp_path / "node")


def trained(folder: Path) -> Outcome:
    """AutoML's end: two trials, the second one better, with the files that the service leaves."""
    left = leave(folder, graph(YOLO), COLOURS, background=False)
    files = {path.relative_to(left).as_posix(): path.read_bytes() for path in left.rglob("*") if path.is_file()}
    worse = Trial(metrics={"mean_average_precision": [0.125]}, hyperparameters={"model_name": "yolov5"})
    metrics = {"mean_average_precision": [0.25, 0.5, 0.375], "precision": [0.125, 0.25, 0.5], "recall": [0.5, 0.75, 1]}
    better = Trial(files, metrics, {"model_name": "yolov5", "learning_rate": 0.005})
    return Outcome([worse, better], best=1, looks=0)


def test_from_a_federated_login_to_boxes_on_a_device(
    azure: FakeAzure, shell: Shell, caps: Any, node: Node, tmp_path: Path, sdk: str
) -> None:
    connect_the_edge(azure)
    agent = Agent(tmp_path / "agent", shell.environment, sdk, shell.said)
    agent.run("publish_pipeline.sh", "--property", "build_id=17")
    first = agent.left("published.json")
    looked = {each["check"]: each["status"] for each in agent.left("workspace.json")["checks"]}
    assert (looked["captures"], looked["releases"], looked["endpoint"]) == ("ok", "ok", "warn")  # none is published
    second = shell.cva("endpoint", "publish", "--property", "build_id=18")
    assert second["version"] == second["default_version"] == first["version"] + 1
    back = shell.cva("endpoint", "set-default", ENDPOINT, str(first["version"]))
    assert (back["default_version"], back["before"]) == (first["version"], second["version"])
    shown = shell.cva("endpoint", "show")
    assert [each["properties"]["build_id"] for each in shown["versions"]] == ["17", "18"]
    assert shown["parameters"] == ["dataset_name", "model_name", "cluster"]

    run_id = agent.run("submit_training.sh", **ASKED, CLUSTER="gpu-cluster", EXPERIMENT="cap_detection")["run_id"]
    run = agent.left("run.json")
    assert (run["run"], run["status"], run["endpoint_version"]) == (run_id, "NotStarted", first["version"])
    script(azure.state, trained(tmp_path / "left"))
    out, _ = node.run(run_id)
    result = json.loads(out.splitlines()[-1])
    assert (result["model"], result["version"], result["champion"]) == (MODEL, 1, True)

    agent.run("collect_training.sh", RUN_ID=run_id)
    followed = agent.left("model/run.json")
    assert (followed["status"], followed["model"], followed["version"]) == ("Completed", MODEL, 1)
    assert agent.left("model/model.json")["id"] == f"{MODEL}:1"
    approved = agent.run("review_champion.sh", MODEL_NAME=MODEL)
    assert approved == {"version": "1"}
    model = agent.left("champion.json")
    assert model["tags"]["automl_mean_average_precision"] == "0.5", "its best epoch's, and all from that one"
    assert model["tags"]["automl_precision"] == "0.25"
    assert model["manifest"]["source"]["engine"] == "azureml"
    assert model["manifest"]["source"]["dataset"] == {"name": "caps", "version": "1", "sha256": caps["sha256"]}

    pulled = shell.cva("model", "pull", MODEL, "--registry", "azureml", "--to", "device")
    assert (pulled["status"], pulled["version"]) == ("updated", 1)
    check_the_tags(shell, model["tags"])
    check_a_picture(shell, tmp_path / "device" / MODEL / "current")
    if sdk == "v1":
        check_the_release(agent, approved["version"], tmp_path / "release.key")
    azure.assert_clean()


def connect_the_edge(azure: FakeAzure) -> None:
    """As infrastructure/ does: captures and releases, each a container and its datastore."""
    for name, container in (("edgevisionstorage", "captures"), ("modelreleases", "releases")):
        azure.state.datastores[name] = DatastoreRecord(name, azure.state.edge_account, container)
        azure.state.add_container(azure.state.edge_account, container)


def check_the_release(agent: Agent, version: str, key: Path) -> None:
    """In the account that the workspace's own datastore names; signed; complete."""
    from scoring.edge.registry import LocalRegistry
    from scoring.edge.signing import new_key_pair, read_signer
    from scoring.edge.trust import Trust, verify_release

    key.write_bytes(new_key_pair(None)[0])
    agent.run("release_model.sh", MODEL_NAME=MODEL, MODEL_VERSION=version, CVA_SIGNING_KEY_FILE=str(key))
    assert agent.left("released.json")["status"] == "published"
    uploads = [call for call in agent.tools.calls if call.startswith("az storage blob upload")]
    where = ("--account-name cvaedge ", "releases")
    assert len(uploads) == 2 and all(word in call for call in uploads for word in where)
    assert LocalRegistry(agent.tools.blobs).resolve(MODEL, "best").version == 1
    key.chmod(0o600)
    trust = Trust().add(read_signer(key).public)
    assert verify_release(agent.tools.blobs / MODEL / "1", trust, name=MODEL, version=1)


def check_the_tags(shell: Shell, tags: dict[str, str]) -> None:
    """Equal to what scoring the pulled bundle on the stored test part gives."""
    from model_training.evaluation.measure import measure
    from scoring.detector import Detector

    part = next((shell.folder / "cache").rglob("datasets/caps/1/test.jsonl"))
    detector = Detector.load(shell.folder / "device" / MODEL / "current")
    again = measure(detector, part, score_threshold=detector.bundle.postprocess.score_threshold).metrics
    assert {tag: float(tags[tag]) for tag in TAGS} == {tag: again[key] for tag, key in TAGS.items()}


def check_a_picture(shell: Shell, bundle: Path) -> None:
    from scoring.detector import Detector
    from scoring.scorer import score_image

    found = score_image(Detector.load(bundle.resolve()), shell.folder / "pictures" / "p0.png").found
    labels = json.loads((shell.folder / "pictures" / "p.jsonl").read_text().splitlines()[0])["label"]
    assert found is not None
    assert sorted(COLOURS[label] for label in found.labels) == sorted(each["label"] for each in labels)


def test_the_documented_rest_call_submits_it(azure: FakeAzure, shell: Shell, caps: Any, sdk: str) -> None:
    shell.cva("endpoint", "publish")
    url = shell.cva("endpoint", "show")["submit"]
    given = {"dataset_name": "caps", "model_name": MODEL, "cluster": "gpu-cluster"}
    if sdk == "v1":
        body: dict[str, Any] = {"ExperimentName": "cap_detection", "ParameterAssignments": given}
    else:
        inputs = {name: {"jobInputType": "Literal", "value": value} for name, value in given.items()}
        body = {"properties": {"inputData": inputs, "properties": {"experimentName": "cap_detection"}}}
    answer = rest(shell, url, body, "https://management.azure.com" if sdk == "v1" else "https://ml.azure.com")
    run = shell.cva("job", "show", answer.get("Id") or answer["name"])
    assert (run["experiment"], run["status"]) == ("cap_detection", "NotStarted")
    assert step_of(azure, run["run"]).compute == "cpu-cluster"


def rest(shell: Shell, url: str, body: Any, audience: str) -> dict[str, Any]:
    """curl, as docs/azure-walkthrough.md has it: a token of `az account get-access-token`, one POST."""
    import subprocess
    import sys

    program = (
        "import json, sys, urllib.request\n"
        "from azure.cli.core._profile import Profile\n"
        "from azure.cli.core import get_default_cli\n"
        "url, body, audience = sys.argv[1:]\n"
        "token = Profile(cli_ctx=get_default_cli()).get_raw_token(resource=audience)[0][1]\n"
        "headers = {'Authorization': f'Bearer {token}', 'Content-Type': 'application/json'}\n"
        "asked = urllib.request.Request(url, body.encode(), headers)\n"
        "print(urllib.request.urlopen(asked).read().decode())\n"
    )
    command = [sys.executable, "-c", program, url, json.dumps(body), audience]
    done = subprocess.run(command, env=shell.environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
