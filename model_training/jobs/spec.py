"""A job file as frozen values. Knows nothing about YAML (`load.py`) or about running it (`sweep/`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Limits:
    timeout_minutes: float = 10080
    max_trials: int = 1
    max_concurrent_trials: int = 1


@dataclass(frozen=True)
class Distribution:
    """One hyperparameter's range: `kind` is choice, uniform, loguniform or fixed."""

    kind: str
    values: tuple[Any, ...] = ()  # choice; one value when fixed
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class EarlyTermination:
    """Bandit policy: a trial whose best metric is more than the slack below the best so far is stopped."""

    kind: str = "bandit"
    evaluation_interval: int = 1
    delay_evaluation: int = 0
    slack_factor: float | None = None
    slack_amount: float | None = None


@dataclass(frozen=True)
class DataPaths:
    """JSONL files of the parts, each row's image_url resolvable from the file; `labels` is the model's label order."""

    train: Path
    validation: Path
    labels: tuple[str, ...]


@dataclass(frozen=True)
class JobSpec:
    """`search_spaces` is the list of conditional spaces; each names its `model_name`. `training_parameters` are fixed."""

    task: str
    primary_metric: str
    experiment_name: str
    compute: str
    training_data: str  # as written: a path or azureml:NAME[:VERSION|@latest]
    validation_data: str
    validation_data_size: float
    target_column_name: str
    limits: Limits
    training_parameters: Mapping[str, Any]
    sampling_algorithm: str
    early_termination: EarlyTermination | None
    search_spaces: tuple[Mapping[str, Distribution], ...]
    source: str = ""  # the file's text
    seed: int = 1
    # set by `on()`, or by the run's own budget; never by the job file
    data: DataPaths | None = None
    budget_cpu_seconds: float | None = None  # for each trial
    budget_minutes: float | None = None  # wall clock, for the whole sweep
    overrides: Mapping[str, Any] = field(default_factory=dict)  # run-level: device, nano size, threads
