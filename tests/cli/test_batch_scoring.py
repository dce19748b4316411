"""Batch scoring on this machine: published, submitted, every image of the data set answered for."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.main import main
from model_training.data.jsonl import read_rows
from model_training.packaging.bundle import Source, make_bundle
from model_training.workspaces.local import LocalWorkspace
from model_training.workspaces.local.endpoint_api import EndpointApi, Request
from tests.contracts.bundles import decision
from tests.contracts.workspace_contract import JOB, TASK
from tests.packaging.automl_exports import COLOURS, YOLO, draw, left_by

ENDPOINT = "automl_for_images_training_pipeline_batch_scoring"
SUBMIT = ("submit", "--endpoint", ENDPOINT, "--dataset-name", "caps", "--model-name", "Caps")
IMAGES = 10


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of ten pictures, a model whose answers are known, and the endpoint."""
    folder = tmp_path_factory.mktemp("scoring")
    workspace = LocalWorkspace.open(folder / "workspace")
    rows = read_rows(draw(folder / "pictures", "p", IMAGES, 1))
    rows = [replace(row, image_url=str(folder / "pictures" / row.image_url)) for row in rows]
    workspace.datasets.create("caps", rows, task=TASK)
    part, trial = folder / "pictures" / "p.jsonl", left_by(YOLO, folder / "left")
    source = Source("Caps", "caps", "1", "0" * 64, "1" * 64, "run", "", 1)
    bundle = make_bundle(trial, labels=COLOURS, validation=part, test=part, source=source, folder=folder / "bundle")
    workspace.models.register(bundle, decision(), name="Caps", run_id="a", trained_on=frozenset())
    workspace.endpoints.publish(ENDPOINT, "", kind="batch-scoring")
    return folder


@pytest.fixture
def workspace(seed: Path, tmp_path: Path) -> LocalWorkspace:
    shutil.copytree(seed / "workspace", tmp_path / "workspace")
    return LocalWorkspace.open()


def cva(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    ended = main(["--json", "endpoint", *words])
    said = capsys.readouterr()
    assert ended == code, said.err
    value: dict[str, Any] = json.loads(said.out)
    return value


def test_every_image_of_the_data_set_gets_its_row(
    workspace: LocalWorkspace, capsys: pytest.CaptureFixture[str], seed: Path
) -> None:
    capsys.readouterr()
    assert main(["endpoint", *SUBMIT]) == 0
    text = capsys.readouterr().out
    said = json.loads(text.splitlines()[-1])
    folder = Path(said["paths"]["predictions"])
    assert f"predictions: {folder / 'predictions.jsonl'}" in text
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [row["filename"] for row in rows] == [f"p{number}.png" for number in range(IMAGES)]
    assert {row["model"] for row in rows} == {"Caps:1"}
    assert (said["images"], said["failed"], said["boxes"]) == (IMAGES, 0, sum(len(row["boxes"]) for row in rows))
    truth = json.loads((seed / "pictures" / "p.jsonl").read_text().splitlines()[0])["label"]
    assert sorted(box["label"] for box in rows[0]["boxes"]) == sorted(box["label"] for box in truth)

    assert main(["--json", "job", "show", said["run"]]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["status"], shown["model"], shown["version"]) == ("Completed", "Caps", 1)
    assert main(["job", "show", said["run"]]) == 0
    assert f"score the {IMAGES} images of caps:1 with Caps:1" in capsys.readouterr().out
    assert [model.version for model in workspace.models.list("Caps")] == [1], "nothing is registered by scoring"


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["submit", "dry run"])
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--model-name", "Cups"), 1, "'Cups'"),
        (("--model-name", "Caps:7"), 1, "versions: 1"),
        (("--dataset-name", "cups"), 1, "there is no dataset 'cups'"),
        (("--experiment", "a b"), 2, "a b"),
        (("--budget-minutes", "5"), 2, "batch scoring trains nothing"),
        (("--model-size", "nano", "--register", "if-better"), 2, "model_size, register: batch scoring"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    workspace: LocalWorkspace,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    says: str,
    dry: tuple[str, ...],
) -> None:
    assert says in cva(capsys, *SUBMIT, *words, *dry, code=code)["error"]["message"]
    assert list(workspace.runs.list()) == []


def test_an_image_that_is_gone_is_a_row_of_errors(
    workspace: LocalWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """One bad picture of thousands must not cost the others."""
    dataset = workspace.datasets.get("caps")
    rows = workspace.datasets.rows(dataset)
    workspace.datastores.resolve(rows[3].image_url, dataset.path / "data.jsonl").unlink()
    said = cva(capsys, *SUBMIT)
    assert (said["images"], said["failed"]) == (IMAGES, 1)
    errors = (Path(said["paths"]["predictions"]) / "errors.jsonl").read_text().splitlines()
    assert [json.loads(line)["filename"] for line in errors] == ["p3.png"]


def test_when_not_one_image_can_be_scored_the_run_fails(
    workspace: LocalWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = workspace.datasets.get("caps")
    for row in workspace.datasets.rows(dataset):
        workspace.datastores.resolve(row.image_url, dataset.path / "data.jsonl").unlink()
    error = cva(capsys, *SUBMIT, code=1)["error"]
    assert error["message"] == f"none of the {IMAGES} images of caps:1 could be scored"
    assert "errors.jsonl" in error["hint"]
    assert [run.status for run in workspace.runs.list()] == ["Failed"]


def ask(workspace: LocalWorkspace, endpoint: str, **parameters: str) -> tuple[int, Any]:
    """The REST call, without its socket; the run is made and its process is not started."""
    body = json.dumps({"ExperimentName": "caps", "ParameterAssignments": parameters}).encode()
    headers = {"host": "127.0.0.1:1", "content-type": "application/json"}
    api = EndpointApi(workspace, start=lambda workspace, run: run)
    answer = api.answer(Request("POST", f"/endpoints/{endpoint}/submit", headers, body))
    return answer.status, answer.body


def test_over_rest_it_wants_no_cluster_and_training_does(workspace: LocalWorkspace) -> None:
    names = {"dataset_name": "caps", "model_name": "Caps"}
    status, answer = ask(workspace, ENDPOINT, **names)
    assert (status, answer["PipelineEndpoint"]) == (200, ENDPOINT)
    assert ask(workspace, ENDPOINT, **names, cluster="local")[0] == 200, "what a caller of both kinds always sends"
    status, answer = ask(workspace, ENDPOINT, dataset_name="caps")
    assert status == 400 and "expected dataset_name, model_name; missing: model_name" in answer["message"]
    assert ask(workspace, ENDPOINT, **names, colour="red")[0] == 400
    status, answer = ask(workspace, ENDPOINT, dataset_name="caps", model_name="Cups")
    assert status == 400 and "'Cups'" in answer["message"]

    workspace.endpoints.publish("train", JOB)
    status, answer = ask(workspace, "train", **names)
    assert status == 400 and "missing: cluster" in answer["message"]
