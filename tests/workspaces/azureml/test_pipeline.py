"""`train_and_register` on an Azure workspace from memory: labelled images to a registered, pulled and scored model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model_training.data.jsonl import read_rows
from model_training.data.rows import Row
from model_training.evaluation.measure import measure
from model_training.jobs.load import parse_job
from model_training.pipeline import Registered, train_and_register
from model_training.workspaces.azureml.workspace import AzureWorkspace
from scoring.detector import Detector
from scoring.errors import OfflineError
from tests.contracts.workspace_contract import JOB, TASK
from tests.packaging.automl_exports import COLOURS, YOLO, draw, graph, leave
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import Cloud
from tests.workspaces.azureml.memory_runs import Script, ScriptedTrial

IMAGES = 40


def labelled(folder: Path, seed: int = 1) -> list[Row]:
    rows = read_rows(draw(folder, f"p{seed}-", IMAGES, seed))
    return [replace(row, image_url=str(folder / row.image_url)) for row in rows]


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud()
    opened(cloud, tmp_path / "importer")[0].datasets.create("caps", labelled(tmp_path / "pictures"), task=TASK)
    left = leave(tmp_path / "left", graph(YOLO), COLOURS, background=False)
    files = {p.relative_to(left).as_posix(): p.read_bytes() for p in left.rglob("*") if p.is_file()}
    metrics = {"mean_average_precision": [0.25, 0.5], "precision": [0.75, 0.25]}
    cloud.script = Script([ScriptedTrial(metrics, {"model_name": "yolov5"}, files=files)])
    return cloud


def step(workspace: AzureWorkspace, run_id: str, dataset: str = "caps") -> Registered:
    names = {"dataset_name": dataset, "model_name": "Cap_Detection_Model", "cluster": "gpu-cluster"}
    return train_and_register(workspace, parse_job(JOB, "job.yml", target="azure"), run_id=run_id, **names)


def test_the_registered_tags_are_what_scoring_the_bundle_on_the_test_part_gives(cloud: Cloud, tmp_path: Path) -> None:
    cloud.runs.start("step-1", "caps", "Running", {})
    made = step(opened(cloud, tmp_path / "step")[0], "step-1")
    assert made.model is not None and made.model.champion

    device, _ = opened(cloud, tmp_path / "device")
    model = device.models.get("Cap_Detection_Model@champion")
    assert (model.tags["automl_mean_average_precision"], model.tags["automl_precision"]) == ("0.5", "0.25")
    assert (model.tags["dataset_name"], model.tags["dataset_version"]) == ("caps", "1")
    split = device.datasets.split(device.datasets.get("caps"))
    detector = Detector.load(model.path)
    threshold = detector.bundle.postprocess.score_threshold
    again = measure(detector, split.test, score_threshold=threshold).metrics
    names = {"Mean Average Precision": "mean_average_precision", "Precision": "precision", "Recall": "recall"}
    assert {tag: float(model.tags[tag]) for tag in names} == {tag: again[key] for tag, key in names.items()}
    assert 0.3 < again["mean_average_precision"] < 1
    seen = {row.sha256 for path in (split.train, split.validation) for row in read_rows(path)}
    assert device.models.trained_on(model) == seen


def test_the_next_run_is_held_against_the_champion_on_a_grown_data_set(cloud: Cloud, tmp_path: Path) -> None:
    cloud.runs.start("step-1", "caps", "Running", {})
    cloud.runs.start("step-2", "caps", "Running", {})
    step(opened(cloud, tmp_path / "first")[0], "step-1")
    more = [*labelled(tmp_path / "pictures"), *labelled(tmp_path / "more", seed=2)]
    opened(cloud, tmp_path / "importer")[0].datasets.create("caps", more, task=TASK)
    made = step(opened(cloud, tmp_path / "second")[0], "step-2")
    assert made.dataset.version == 2
    assert (made.decision.code, made.decision.champion_version) == ("not_better", 1)  # the same model: a tie
    assert made.model is not None and (made.model.version, made.model.champion) == (2, False)


def test_a_step_that_runs_again_after_any_call_registers_once(cloud: Cloud, tmp_path: Path) -> None:
    cloud.runs.start("step-1", "caps", "Running", {})
    workspace, service = opened(cloud, tmp_path / "first node")
    service.lost.add("register_model")
    with pytest.raises(OfflineError):
        step(workspace, "step-1")
    made = step(opened(cloud, tmp_path / "second node")[0], "step-1")
    assert made.model is not None and made.model.version == 1
    assert len(cloud.registry) == len(cloud.requests) == 1


def test_a_labelled_export_is_trained_on_as_it_is(cloud: Cloud, tmp_path: Path) -> None:
    """Registered by somebody else: its first split hashes its images, the model says what it saw."""
    (caps,) = [asset for asset in cloud.data["v2"] if asset.name == "caps"]
    cloud.data["v1"].append(replace(caps, name="labels", tags={}, kind="tabular", path=f"{caps.path}/data.jsonl"))
    cloud.runs.start("step-1", "caps", "Running", {})
    made = step(opened(cloud, tmp_path / "step")[0], "step-1", "labels")
    source = made.bundle.manifest["source"]
    assert source["dataset"] == {"name": "labels", "version": "1", "sha256": caps.tags["cva_sha256"]}
    assert source["split_sha256"] == caps.tags["cva_split_sha256"]
    assert cloud.requests[0].train.name == "labels-train"
