"""One AutoML run from memory for the tests of its parts: its script, and a step that trains."""

from __future__ import annotations

from collections.abc import Callable

from model_training.jobs.load import parse_job
from model_training.jobs.spec import DataPaths, JobSpec
from model_training.workspaces.azureml.service import RunFacts
from model_training.workspaces.azureml.workspace import AzureWorkspace
from model_training.workspaces.base import BestTrial, Event, silent
from tests.contracts.workspace_contract import JOB
from tests.workspaces.azureml.memory import Cloud
from tests.workspaces.azureml.memory_runs import ScriptedTrial

# the best precision is of another epoch than the best mAP, the service logged the time once
COURSE = {
    "mean_average_precision": [0.2, 0.7, 0.6],
    "precision": [0.9, 0.5, 0.4],
    "recall": [0.1, float("nan"), 0.8],
    "train_seconds": [12.0],
}
SECOND = ScriptedTrial({"mean_average_precision": [0.3]}, {"--model_name": "yolov5", "--learning_rate": 0.1})


class KilledError(BaseException):
    """The node is gone: nothing of ours gets to run."""


def job_of(workspace: AzureWorkspace, text: str = JOB) -> JobSpec:
    split = workspace.datasets.split(workspace.datasets.get("caps"))
    return parse_job(text, "job.yml").on(DataPaths(split.train, split.validation, ("cap", "no_cap"), split.assets))


def train(
    workspace: AzureWorkspace,
    run_id: str,
    reporter: Callable[[Event], None] = silent,
    *,
    text: str = JOB,
    cluster: str = "gpu-cluster",
) -> BestTrial:
    folder = workspace.runs.get(run_id).folder / "sweep"
    return workspace.automl.run(job_of(workspace, text), cluster, folder=folder, reporter=reporter)


def automl_run(cloud: Cloud) -> str:
    """Status of the one AutoML run that there is."""
    (found,) = automl_runs(cloud)
    return found.status


def automl_runs(cloud: Cloud) -> list[RunFacts]:
    return [record.facts for record in cloud.runs.records.values() if record.facts.tags.get("cva_job")]
