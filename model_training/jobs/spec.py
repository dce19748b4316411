"""A job file as frozen values. Knows nothing about YAML (`load.py`) or about running it (`sweep/`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Limits:
    timeout_minutes: float = 10080
    max_trials: int = 1
    max_concurrent_trials: int = 1


@dataclass(frozen=True)
class Distribution:
    """One hyperparameter's range: `kind` is choice, uniform, loguniform or fixed.

    As on Azure ML, loguniform's bounds are natural logarithms: exp(uniform(low, high)). Azure's other distributions
    (quniform, normal, …) keep their numbers in `parameters`, by the names of the job file: nothing here samples them.
    """

    kind: str
    values: tuple[Any, ...] = ()  # choice; one value when fixed
    low: float = 0.0
    high: float = 0.0
    parameters: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class EarlyTermination:
    """Bandit policy: a trial whose best metric is more than the slack below the best so far is stopped.

    `kind` is bandit, or Azure's median_stopping or truncation_selection (with `truncation_percentage`).
    """

    kind: str = "bandit"
    evaluation_interval: int = 1
    delay_evaluation: int = 0
    slack_factor: float | None = None
    slack_amount: float | None = None
    truncation_percentage: int | None = None


@dataclass(frozen=True)
class DataPaths:
    """JSONL files of the parts, each row's image_url resolvable from the file; `labels` is the model's label order.

    `assets` names the parts as Azure ML has them registered (train: caps-train:3); empty where nothing else trains.
    """

    train: Path
    validation: Path
    labels: tuple[str, ...]
    assets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobSpec:
    """`search_spaces` are the conditional spaces; each names its `model_name`. `training_parameters` are fixed."""

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
    defaults: str = "algorithm"  # whose defaults fill the keys that the job leaves out: algorithm | azure
    log_verbosity: str = "info"
    attributes: Mapping[str, Any] = field(default_factory=dict)  # name, display_name, description, tags, properties
    warnings: tuple[str, ...] = ()  # what the reader of the file wants to say, with lines

    def on(
        self,
        data: DataPaths,
        *,
        budget_cpu_seconds: float | None = None,
        budget_minutes: float | None = None,
        limits: Limits | None = None,
        **overrides: Any,
    ) -> JobSpec:
        """This job with the data it trains on and what belongs to this run alone.

        `overrides` are hyperparameters that win over the job's (a nano model_size, …), `device` and `threads`.
        """
        return replace(
            self,
            data=data,
            budget_cpu_seconds=budget_cpu_seconds or self.budget_cpu_seconds,
            budget_minutes=budget_minutes or self.budget_minutes,
            limits=limits or self.limits,
            overrides={**self.overrides, **overrides},
        )
