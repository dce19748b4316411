"""`azure.ai.ml.load_job` and this parser agree about structure, but for the differences that docs/job-file.md lists.

Its import takes seconds, so one process judges every text of the module.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_training.jobs.load import parse_job
from scoring.errors import UsageError

from .jobs_text import JOB, fixed, job, searched

TEMPLATE = Path(__file__).resolve().parents[2] / "model_training" / "job_templates" / "object_detection.yml"


def policy(**early_termination: Any) -> str:
    return job(sweep={"sampling_algorithm": "random", "early_termination": early_termination})


HONOURED: dict[str, Any] = {
    "number_of_epochs": 3,
    "image_size": 320,
    "model_size": "extra_large",
    "learning_rate": 0.01,
    "optimizer": "adamw",
    "momentum": 0.9,
    "weight_decay": 0.0001,
    "training_batch_size": 8,
    "validation_batch_size": 8,
    "learning_rate_scheduler": "warmup_cosine",
    "step_lr_gamma": 0.5,
    "step_lr_step_size": 5,
    "warmup_cosine_lr_cycles": 0.45,
    "warmup_cosine_lr_warmup_epochs": 2,
    "early_stopping": True,
    "early_stopping_patience": 5,
    "early_stopping_delay": 5,
    "evaluation_frequency": 1,
    "box_score_threshold": 0.3,
    "nms_iou_threshold": 0.5,
    "box_detections_per_image": 100,
    "multi_scale": False,
    "random_seed": 3,
    "layers_to_freeze": 2,
    "beta1": 0.9,
    "beta2": 0.99,
    "nesterov": True,
    "ams_gradient": False,
}

# Accepted by both.
BOTH = {
    "the template": TEMPLATE.read_text(encoding="utf-8"),
    "the job of the contracts": JOB,
    "every honoured key, fixed": fixed(**HONOURED),
    "every honoured key, as one value in a space": searched(**HONOURED),
    "every honoured key, by choice": searched(
        **{name: {"type": "choice", "values": [value]} for name, value in HONOURED.items()}
    ),
    "loguniform": searched(learning_rate={"type": "loguniform", "min_value": -9, "max_value": -5}),
    "numbers with an exponent": JOB.replace("0.0001", "1e-4"),
    "bandit with an amount": policy(type="bandit", slack_amount=0.1),
    "enumerations in capitals": job(sweep={"sampling_algorithm": "Random"}).replace("'label'", "label"),
    "two spaces": job(search_space=[{"model_name": "yolov5"}, {"model_name": "yolov5", "momentum": 0.5}]),
    "no limits": job(limits=None, sweep=None, search_space=None),
    "stored keys": job(name="n", display_name="d", description="x", tags={"a": "b"}, properties={"c": "d"}),
    "validation data": job(validation_data={"path": "azureml:caps-val:1", "type": "mltable"}),
    "a validation share": job(validation_data_size=0.3),
}
# Accepted by both when the job is meant for Azure ML, refused by name for this machine.
ON_AZURE = {
    "grid": job(sweep={"sampling_algorithm": "grid"}),
    "bayesian": job(sweep={"sampling_algorithm": "bayesian"}),
    "median": policy(type="median_stopping", evaluation_interval=1, delay_evaluation=2),
    "truncation": policy(type="truncation_selection", truncation_percentage=20),
    "other algorithms": searched(model_name={"type": "choice", "values": ["fasterrcnn_resnet50_fpn"]}, min_size=600),
    "quniform": searched(number_of_epochs={"type": "quniform", "min_value": 5, "max_value": 20, "q": 5}),
    "randint": searched(number_of_epochs={"type": "randint", "upper": 20}),
    "normal": searched(learning_rate={"type": "normal", "mu": 0.01, "sigma": 0.001}),
    "tiling": fixed(tile_grid_size="3x2", tile_overlap_ratio=0.2, tile_predictions_nms_threshold=0.3),
    "accumulation": fixed(gradient_accumulation_step=2),
    "checkpoints": fixed(checkpoint_frequency=1, checkpoint_run_id="r"),
    "validation metric": fixed(validation_metric_type="coco_voc", validation_iou_threshold=0.4),
    "workers": fixed(number_of_workers=2, distributed=True, enable_onnx_normalization=True),
    "logs": fixed(log_training_metrics="enable", log_validation_loss="enable", advanced_settings="{}"),
    "segmentation": job(
        task="image_instance_segmentation", search_space=[{"model_name": "maskrcnn_resnet50_fpn", "min_size": 600}]
    ),
    "automode": job(sweep=None, search_space=None),
    "environment variables": job(environment_variables={"A": "b"}),
    "mount": job(training_data={"path": "azureml:caps:1", "type": "mltable", "mode": "eval_mount"}),
}
# Refused by both.
NEITHER = {
    "an unknown key of the job": job(tusk="x"),
    "an unknown hyperparameter": fixed(learning_rat=0.1),
    "an unknown hyperparameter in a space": searched(learning_rat=0.1),
    "an unknown limit": job(limits={"max_trails": 3}),
    "no task": job(task=None),
    "another task": job(task="image_juggling"),
    "no target column": job(target_column_name=None),
    "another metric": job(primary_metric="accuracy"),
    "another type": job(type="autml"),
    "an unknown size": fixed(model_size="nano"),
    "an unknown optimizer": fixed(optimizer="lion"),
    "an unknown distribution": searched(learning_rate={"type": "triangular", "min_value": 0, "max_value": 1}),
    "uniform without an end": searched(learning_rate={"type": "uniform", "min_value": 0}),
    "an unknown sampling": job(sweep={"sampling_algorithm": "evolution"}),
    "an unknown policy": policy(type="halving"),
    "a space that is no list": job(search_space={"learning_rate": 0.1}),
    "a text for a number": fixed(number_of_epochs="many"),
    "half an epoch in a space": searched(number_of_epochs=1.5),
    "limits that are no number": job(limits={"max_trials": "many"}),
    "no training data": job(training_data=None),
    "data of another type": job(training_data={"path": "azureml:caps:1", "type": "uri_folder"}),
    "an older name": fixed(img_size=320),  # for Azure ML; see LOOSER
    "the older task name": job(task="image-object-detection"),
    "split_ratio": fixed(split_ratio=0.2),
}
# What load_job lets through and this parser refuses, also for Azure ML: docs/job-file.md, "stricter".
STRICTER = {
    "an invented algorithm": searched(model_name="yolov99"),
    "a learning rate of 5": fixed(learning_rate=5.0),
    "a range that leaves the range": searched(learning_rate={"type": "uniform", "min_value": 0, "max_value": 5}),
    "a range upside down": searched(learning_rate={"type": "uniform", "min_value": 0.1, "max_value": 0.01}),
    "no epochs": fixed(number_of_epochs=0),
    "data without a path": job(training_data={"type": "mltable"}),
    "no trials": job(limits={"max_trials": 0}),
    "more at once than at all": job(limits={"max_trials": 1, "max_concurrent_trials": 2}),
    "a key of another algorithm": fixed(min_size=600),
    "a number in quotes": fixed(number_of_epochs="3"),
    "a key twice": JOB + "compute: local\n",
    "bandit with both": policy(type="bandit", slack_factor=0.1, slack_amount=0.1),
    "bandit with neither": policy(type="bandit", evaluation_interval=1),
    "no interval": policy(type="bandit", slack_factor=0.1, evaluation_interval=0),
    "a search without a sweep": job(sweep=None),
    "a sweep without a search": job(search_space=None, limits=None),
    "a validation share of 2": job(validation_data_size=2.0),
    "a seed below 0": fixed(random_seed=-1),
    "an experiment name with blanks": job(experiment_name="cap detection"),
    "an empty choice": searched(model_size={"type": "choice", "values": []}),
    "a size of none": fixed(model_size="none"),
    "bayesian with two spaces": job(
        sweep={"sampling_algorithm": "bayesian"}, search_space=[{"model_name": "yolov5"}, {"momentum": 0.5}]
    ),
}
# What load_job refuses and this parser takes for this machine: docs/job-file.md, "looser".
LOOSER = {
    "older names": fixed(img_size=320, lr_scheduler="step", amsgrad=True, box_score_thresh=0.2, box_iou_thresh=0.4),
    "the older task name": job(task="image-object-detection"),
    "split_ratio": fixed(split_ratio=0.2),
    "data as a plain reference": job(training_data="azureml:caps:1"),
}

JUDGE = """
import json, logging, sys, tempfile, warnings
from pathlib import Path
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
from azure.ai.ml import load_job
verdicts = {}
with tempfile.TemporaryDirectory() as folder:
    for number, (name, text) in enumerate(json.load(sys.stdin).items()):
        path = Path(folder) / f"{number}.yml"
        path.write_text(text, encoding="utf-8")
        try:
            load_job(path)
            verdicts[name] = "accepted"
        except Exception as error:
            verdicts[name] = f"refused: {type(error).__name__}: {error}"
print(json.dumps(verdicts))
"""


@pytest.fixture(scope="module")
def verdicts() -> dict[str, str]:
    if importlib.util.find_spec("azure") is None or importlib.util.find_spec("azure.ai.ml") is None:
        pytest.skip("the extra `azure` is not installed")
    groups = {"both": BOTH, "azure": ON_AZURE, "neither": NEITHER, "stricter": STRICTER, "looser": LOOSER}
    texts = {f"{group}/{name}": text for group, found in groups.items() for name, text in found.items()}
    answer = subprocess.run(
        [sys.executable, "-c", JUDGE], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(answer.stdout.splitlines()[-1])
    return found


def accepts(text: str, target: str) -> bool:
    try:
        parse_job(text, "job.yml", target=target)
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("name", BOTH)
def test_both_accept(name: str, verdicts: dict[str, str]) -> None:
    assert verdicts[f"both/{name}"] == "accepted"
    assert accepts(BOTH[name], "local") and accepts(BOTH[name], "azure")


@pytest.mark.parametrize("name", ON_AZURE)
def test_both_accept_for_azure_and_this_machine_refuses(name: str, verdicts: dict[str, str]) -> None:
    assert verdicts[f"azure/{name}"] == "accepted"
    assert accepts(ON_AZURE[name], "azure") and not accepts(ON_AZURE[name], "local")


@pytest.mark.parametrize("name", NEITHER)
def test_both_refuse(name: str, verdicts: dict[str, str]) -> None:
    assert verdicts[f"neither/{name}"].startswith("refused")
    assert not accepts(NEITHER[name], "azure")


@pytest.mark.parametrize("name", STRICTER)
def test_stricter(name: str, verdicts: dict[str, str]) -> None:
    assert verdicts[f"stricter/{name}"] == "accepted"
    assert not accepts(STRICTER[name], "azure") and not accepts(STRICTER[name], "local")


@pytest.mark.parametrize("name", LOOSER)
def test_looser(name: str, verdicts: dict[str, str]) -> None:
    assert verdicts[f"looser/{name}"].startswith("refused")
    assert accepts(LOOSER[name], "local") and not accepts(LOOSER[name], "azure")
