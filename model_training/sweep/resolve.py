"""From a job and a sample to what one trial is told: every hyperparameter, defaults filled in. Starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_training.jobs.hyperparameters import azure_defaults
from model_training.jobs.spec import JobSpec

RUN_KEYS = ("device", "threads")  # overrides that are no hyperparameters


def defaults_of(algorithm: str, whose: str) -> dict[str, Any]:
    """The values of the keys that a job leaves out: the algorithm's own, or Azure ML's."""
    from model_training.algorithms import defaults

    own = dict(defaults(algorithm))
    return {**own, **azure_defaults(algorithm)} if whose == "azure" else own


def hyperparameters(job: JobSpec, sampled: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The algorithm and its hyperparameters. The run wins over the sample, that over the job, that over defaults."""
    fixed = {**job.training_parameters, **sampled}
    algorithm = str(fixed.pop("model_name", "yolov5"))
    fixed.pop("model_name", None)
    run_level = {key: value for key, value in job.overrides.items() if key not in RUN_KEYS}
    return algorithm, {**defaults_of(algorithm, job.defaults), **fixed, **run_level}
