"""A valid job as text, and with changes."""

from __future__ import annotations

from typing import Any

import yaml

JOB = """\
type: automl
experiment_name: cap-detection
task: image_object_detection
compute: azureml:gpu-cluster
primary_metric: mean_average_precision
target_column_name: label
training_data: {path: "azureml:caps:1", type: mltable}
limits: {timeout_minutes: 60, max_trials: 10, max_concurrent_trials: 2}
training_parameters: {early_stopping: true, evaluation_frequency: 1}
sweep:
  sampling_algorithm: random
  early_termination: {type: bandit, evaluation_interval: 2, slack_factor: 0.2, delay_evaluation: 6}
search_space:
  - model_name: {type: choice, values: [yolov5]}
    learning_rate: {type: uniform, min_value: 0.0001, max_value: 0.01}
    model_size: {type: choice, values: [small, medium]}
"""


def job(**changes: Any) -> str:
    """JOB with other top-level keys; None removes one."""
    value = {**yaml.safe_load(JOB), **changes}
    return yaml.safe_dump({key: item for key, item in value.items() if item is not None}, sort_keys=False)


def fixed(**training_parameters: Any) -> str:
    """A job of one trial with these training_parameters."""
    return job(sweep=None, search_space=None, limits=None, training_parameters=training_parameters)


def searched(**space: Any) -> str:
    """A job with one search space over these."""
    return job(search_space=[{"model_name": "yolov5", **space}])
