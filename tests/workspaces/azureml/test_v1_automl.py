"""AutoML for images with the real azureml-train-automl-client: what the service is asked for, and what comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_training.jobs.load import parse_job
from model_training.jobs.spec import JobSpec
from model_training.workspaces.azureml.service import STARTED_TAG, Asset, AutoMLRequest
from scoring.errors import ConflictError, NotFoundError, UsageError
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "model_training" / "job_templates" / "object_detection.yml"
HEAD = """
type: automl
experiment_name: caps
task: image_object_detection
compute: azureml:gpu-cluster
primary_metric: mean_average_precision
target_column_name: label
training_data: {path: azureml:caps-train@latest, type: mltable}
"""
# what CONTRACTS 6 says that the service leaves
FILES = {
    "train_artifacts/model.onnx": b"graph",
    "train_artifacts/labels.json": b'["cap"]',
    "train_artifacts/model.pt": b"pickle",
    "outputs/mlflow-model/MLmodel": b"flavors: {}",
}


def request(v1: Remote, job: str | JobSpec, cluster: str = "gpu-cluster", **tags: str) -> AutoMLRequest:
    train, validation = (registered(v1, f"caps-{part}") for part in ("train", "val"))
    spec = parse_job(job, "job.yml", target="azure") if isinstance(job, str) else job
    return AutoMLRequest(spec, train, validation, cluster, "cap_detection", tags)


def registered(v1: Remote, name: str) -> Asset:
    asset: Asset = v1.register_asset(name, datastore="workspaceblobstore", path=f"cva/{name}", tags={})
    return asset


def settings_of(azure: FakeAzure, run_id: str) -> dict[str, Any]:
    settings: dict[str, Any] = azure.state.runs[run_id].body
    return settings


def space_of(azure: FakeAzure, run_id: str) -> dict[str, Any]:
    sweep = settings_of(azure, run_id)["hyperdrive_config"]["generator_config"]
    found: dict[str, Any] = json.loads(sweep["parameter_space"])
    return found


def test_the_default_job_reaches_the_service_as_it_is_written(azure: FakeAzure, v1: Remote) -> None:
    job = parse_job(TEMPLATE.read_text(), "job.yml", target="azure")
    run = v1.submit_automl(request(v1, job, cva_run="17"))
    record = azure.state.runs[run.id]
    assert (run.experiment, record.compute, record.kind) == ("cap_detection", "gpu-cluster", "automl")
    assert record.tags == {"cva_run": "17", STARTED_TAG: "true"}
    settings = settings_of(azure, run.id)
    assert (settings["task_type"], settings["primary_metric"]) == ("image-object-detection", "mean_average_precision")
    assert settings["experiment_timeout_minutes"] == 480, "the cost guard"
    assert settings["label_column_name"] == "label"
    sweep = settings["hyperdrive_config"]
    assert (sweep["max_total_jobs"], sweep["max_concurrent_jobs"]) == (10, 5)
    assert sweep["generator_config"]["name"] == "RANDOM"
    expected = {"evaluation_interval": 2, "delay_evaluation": 6, "slack_factor": 0.2}
    assert sweep["policy_config"] == {"name": "Bandit", "properties": expected}
    assert space_of(azure, run.id) == {
        "model_name": ["choice", [["yolov5"]]],
        "learning_rate": ["uniform", [0.0001, 0.01]],
        "model_size": ["choice", [["small", "medium"]]],
    }
    assert settings["arguments"] == ["--early_stopping", 1, "--evaluation_frequency", 1]
    azure.assert_clean()


def test_it_trains_on_the_two_registered_data_sets(azure: FakeAzure, v1: Remote) -> None:
    asked = request(v1, HEAD)
    newer = registered(v1, "caps-train")
    run = v1.submit_automl(asked)
    data = azure.state.runs[run.id].extra["data"]
    datasets = azure.state.datasets
    assert newer.version == 2
    assert data == {"training_data": datasets["caps-train"][1].id, "validation_data": datasets["caps-val"][1].id}


def test_data_without_keys_is_refused(azure: FakeAzure, v1: Remote) -> None:
    """As Azure documents it, which is why a step trains on such data through SDK v2 (`training.py`)."""
    azure.state.datastores["workspaceblobstore"].credentials = "None"
    with pytest.raises(UsageError, match="identity-based data access"):
        v1.submit_automl(request(v1, HEAD))
    assert not azure.state.runs


def test_a_job_without_a_search_space_is_one_trial(azure: FakeAzure, v1: Remote) -> None:
    parameters = "training_parameters: {model_name: retinanet_resnet50_fpn, number_of_epochs: 3, optimizer: adam}\n"
    run = v1.submit_automl(request(v1, HEAD + parameters))
    assert space_of(azure, run.id) == {"model_name": ["choice", [["retinanet_resnet50_fpn"]]]}
    settings = settings_of(azure, run.id)
    assert settings["arguments"] == ["--number_of_epochs", 3, "--optimizer", "adam"]
    assert settings["hyperdrive_config"]["max_total_jobs"] == 1
    assert settings["experiment_timeout_minutes"] == 10080


def test_several_spaces_are_a_choice_between_them_and_each_distribution_keeps_its_numbers(
    azure: FakeAzure, v1: Remote
) -> None:
    job = """
limits: {timeout_minutes: 90, max_trials: 8, max_concurrent_trials: 2}
sweep: {sampling_algorithm: random, early_termination: {type: truncation_selection, truncation_percentage: 20}}
search_space:
  - model_name: yolov5
    image_size: {type: quniform, min_value: 320, max_value: 640, q: 32}
    learning_rate: {type: loguniform, min_value: -9, max_value: -4}
    model_size: {type: choice, values: [small, extra_large]}
  - model_name: {type: choice, values: [fasterrcnn_resnet50_fpn]}
    min_size: {type: choice, values: [600, 800]}
    box_score_threshold: {type: normal, mu: 0.3, sigma: 0.1}
    layers_to_freeze: {type: randint, upper: 4}
"""
    run = v1.submit_automl(request(v1, HEAD + job))
    assert space_of(azure, run.id)["model"][1][0] == [
        {
            "model_name": ["choice", [["yolov5"]]],
            "img_size": ["quniform", [320.0, 640.0, 32]],
            "learning_rate": ["loguniform", [-9.0, -4.0]],
            "model_size": ["choice", [["small", "extra_large"]]],
        },
        {
            "model_name": ["choice", [["fasterrcnn_resnet50_fpn"]]],
            "min_size": ["choice", [[600, 800]]],
            "box_score_thresh": ["normal", [0.3, 0.1]],
            "layers_to_freeze": ["randint", [4]],
        },
    ]
    policy = settings_of(azure, run.id)["hyperdrive_config"]["policy_config"]
    assert policy["name"] == "TruncationSelection"
    assert policy["properties"]["truncation_percentage"] == 20


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        # the training script would ignore it without a word
        ("training_parameters: {random_seed: 3}\n", "no hyperparameter 'random_seed'"),
        # AutoMode came with SDK v2
        ("limits: {max_trials: 4}\n", "no AutoMode"),
    ],
)
def test_what_sdk_v1_cannot_say_is_refused_before_it_costs_anything(
    azure: FakeAzure, v1: Remote, job: str, expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        v1.submit_automl(request(v1, HEAD + job))
    assert not azure.requests.find("POST", "jasmine")


def test_a_data_set_of_the_other_registry_is_refused(v1: Remote) -> None:
    asked = request(v1, HEAD)
    with pytest.raises(UsageError, match="AZUREML_SDK"):
        v1.submit_automl(replace(asked, train=replace(asked.train, kind="mltable")))


def test_a_cluster_that_is_not_there_is_named(azure: FakeAzure, v1: Remote) -> None:
    with pytest.raises((NotFoundError, UsageError), match="tiny-cluster"):
        v1.submit_automl(request(v1, HEAD, cluster="tiny-cluster"))
    assert not [run for run in azure.state.runs.values() if run.kind == "automl"]


def test_it_is_followed_to_its_best_child_and_its_files(azure: FakeAzure, v1: Remote, tmp_path: Path) -> None:
    from tests.fake_azure.v2.automl import BEST, Outcome, Trial, script

    metrics = {"mean_average_precision": [0.1, 0.6, 0.4], "precision": [0.2, 0.5, 0.5], "recall": [0.3, 0.4, 0.4]}
    script(
        azure.state,
        Outcome([Trial(metrics={"mean_average_precision": [0.2]}), Trial(FILES, metrics)], best=1, looks=40),
    )
    run = v1.submit_automl(request(v1, HEAD))
    assert run.status in ("NotStarted", "Running")
    azure.state.runs[run.id].extra["looks"] = 40
    done = v1.run(run.id)
    assert (done.status, bool(done.ended_at)) == ("Completed", True)
    best = done.tags[BEST]
    (sweep,) = v1.children(run.id)
    assert [child.id for child in v1.children(sweep.id)][1] == best
    assert v1.metrics(best) == metrics, "by epoch, in order"
    assert v1.files(best) == sorted(FILES)
    v1.download_file(best, "train_artifacts/model.onnx", tmp_path / "deep" / "model.onnx")
    assert (tmp_path / "deep" / "model.onnx").read_bytes() == b"graph"


def test_a_failed_run_says_why(azure: FakeAzure, v1: Remote) -> None:
    from tests.fake_azure.v2.automl import Outcome, script

    script(azure.state, Outcome(best=None, status="Failed", error="No quota for the family NCASv3_T4.", looks=0))
    run = v1.submit_automl(request(v1, HEAD))
    done = v1.run(run.id)
    assert (done.status, done.error) == ("Failed", "No quota for the family NCASv3_T4.")


def test_a_run_is_cancelled_by_the_service_that_runs_it(azure: FakeAzure, v1: Remote) -> None:
    run = v1.submit_automl(request(v1, HEAD))
    v1.cancel_run(run.id)
    assert azure.requests.find("POST", "jasmine.*/cancelrun/")
    assert v1.run(run.id).status in ("CancelRequested", "Canceled")


def test_it_is_tagged_before_it_costs_anything(azure: FakeAzure, v1: Remote) -> None:
    """Whatever ends the process between two calls: what has started can be found, and what has not says so."""
    run = v1.submit_automl(request(v1, HEAD, cva_run="17"))
    calls = [call for call in azure.requests if call.method != "GET" and run.id in call.path]
    tags = [call.body["tags"] for call in calls if call.body and call.body.get("tags")]
    assert tags == [{"cva_run": "17"}, {"cva_run": "17", STARTED_TAG: "true"}]
    (started,) = [number for number, call in enumerate(calls) if call.path.endswith("/submitSnapshotRun")]
    assert calls[:started][-1].body["tags"] == {"cva_run": "17"}


def test_a_start_that_fails_leaves_nothing_running(azure: FakeAzure, v1: Remote) -> None:
    azure.fail_next("POST", "/submitSnapshotRun", 403)
    with pytest.raises(UsageError, match="403"):
        v1.submit_automl(request(v1, HEAD, cva_run="17"))
    (record,) = [run for run in azure.state.runs.values() if run.kind == "automl"]
    assert record.tags == {"cva_run": "17"}
    assert record.status == "Failed"
    assert not azure.faults.left


def test_it_is_found_again_by_its_tags(azure: FakeAzure, v1: Remote) -> None:
    run = v1.submit_automl(request(v1, HEAD, cva_run="17"))
    v1.submit_automl(request(v1, HEAD, cva_run="18"))
    assert [found.id for found in v1.runs(tags={"cva_run": "17"})] == [run.id]


def test_registering_a_name_that_another_writes_at_the_same_moment(azure: FakeAzure, v1: Remote) -> None:
    azure.fail_next("POST", r"/datasets\?", 409)
    with pytest.raises((ConflictError, UsageError)):
        registered(v1, "caps-train")
    assert registered(v1, "caps-train").version == 1
