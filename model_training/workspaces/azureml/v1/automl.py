"""Submits an AutoML image job by SDK v1. Waits for nothing and reads no result: `runs.py` does."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from model_training.jobs.spec import JobSpec
from model_training.workspaces.azureml.service import STARTED_TAG, AutoMLRequest
from model_training.workspaces.azureml.v1 import search
from model_training.workspaces.azureml.v1.assets import tabular_dataset
from scoring.errors import UsageError

VERBOSITY = {"not_set": 0, "debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def submit(workspace: Any, request: AutoMLRequest) -> str:
    """The id of the parent run. Raises: UsageError for what SDK v1 cannot run."""
    from azureml.core import Experiment

    _check(request)
    with tempfile.TemporaryDirectory(prefix="cva-automl-") as scratch:  # the SDK leaves a folder of its own there
        config = image_config(workspace, request, scratch)
        experiment = Experiment(workspace, request.experiment)
        with tagged_before_it_starts(request.tags):
            run = experiment.submit(config, tags={**request.tags, STARTED_TAG: "true"}, show_output=False)
    return str(run.id)


@contextlib.contextmanager
def tagged_before_it_starts(tags: Mapping[str, str]) -> Iterator[None]:
    """Of the SDK's three calls (make, start, tag) the tags come second: what cannot be found again may cost hours.

    It has no word for that, so its own function for the second call is preceded by the tags.
    """
    from azureml.train.automl._experiment_drivers import driver_utilities

    start = driver_utilities.start_remote_run

    def tag_and_start(state: Any, run_configuration: Any) -> None:
        state.current_run.set_tags(dict(tags))
        start(state, run_configuration)

    driver_utilities.start_remote_run = tag_and_start
    try:
        yield
    finally:
        driver_utilities.start_remote_run = start


def image_config(workspace: Any, request: AutoMLRequest, scratch: str) -> Any:
    """An AutoMLImageConfig: the job on two registered data sets, always with a limit in hours."""
    from azureml.automl.core.shared.constants import ImageTask
    from azureml.train.automl import AutoMLImageConfig

    job = request.job
    fixed = dict(job.training_parameters)
    return AutoMLImageConfig(
        task=ImageTask(job.task.replace("_", "-")),
        compute_target=request.cluster,
        training_data=tabular_dataset(workspace, request.train),
        validation_data=tabular_dataset(workspace, request.validation),
        hyperparameter_sampling=search.sampling(job),
        early_termination_policy=search.policy(job.early_termination),
        iterations=job.limits.max_trials,
        max_concurrent_iterations=job.limits.max_concurrent_trials,
        experiment_timeout_hours=hours(job),
        arguments=search.arguments(fixed, search.searched(job)),
        label_column_name=job.target_column_name,
        verbosity=VERBOSITY.get(job.log_verbosity, logging.INFO),
        path=scratch,
    )


def hours(job: JobSpec) -> float:
    """The cost guard: what a job may last at most."""
    return round(job.limits.timeout_minutes / 60, 4)


def _check(request: AutoMLRequest) -> None:
    kinds = {request.train.kind, request.validation.kind}
    if kinds != {"tabular"}:
        raise UsageError(
            f"SDK v1 trains on tabular data sets, found {', '.join(sorted(kinds))}",
            hint="register the parts with SDK v1, or set AZUREML_SDK to v2 in variable_template.yml",
        )
    if request.job.task == "image_object_detection" and request.job.primary_metric != "mean_average_precision":
        raise UsageError(
            f"SDK v1 has one primary metric for {request.job.task}: mean_average_precision, "
            f"found {request.job.primary_metric}"
        )
