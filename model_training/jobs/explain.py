"""A job's settings as they will be used, each with where it comes from. Knows nothing about running them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from model_training.jobs.hyperparameters import AVAILABLE, azure_defaults
from model_training.jobs.spec import Distribution, JobSpec
from model_training.sweep.resolve import RUN_KEYS, defaults_of


@dataclass(frozen=True)
class Setting:
    name: str
    value: Any  # plain: number, text, list or {"min", "max", "log"}
    text: str
    source: str  # run | searched | job | default | azure default


def hyperparameter_settings(job: JobSpec) -> list[Setting]:
    """Every hyperparameter of the job's algorithms, in order of name, `model_name` first."""
    spaces = job.search_spaces or ({},)
    names = {name for space in job.search_spaces for name in space} | set(job.training_parameters)
    algorithms = {name for space in spaces for name in _models(space, job)}
    own = defaults_of(AVAILABLE[0], job.defaults) if algorithms <= set(AVAILABLE) else {}
    names |= set(own) | set(job.overrides) - set(RUN_KEYS)
    return [_setting(name, job, own) for name in sorted(names, key=lambda name: (name != "model_name", name))]


def job_settings(job: JobSpec) -> dict[str, Any]:
    """The job's own keys as JSON holds them."""
    early = job.early_termination
    return {
        "task": job.task,
        "primary_metric": job.primary_metric,
        "experiment_name": job.experiment_name,
        "compute": job.compute,
        "training_data": job.training_data,
        "validation_data": job.validation_data or None,
        "validation_data_size": job.validation_data_size,
        "limits": asdict(job.limits),
        "sampling_algorithm": job.sampling_algorithm,
        "early_termination": {k: v for k, v in asdict(early).items() if v is not None} if early else None,
        "defaults": job.defaults,
        **job.attributes,
    }


def _models(space: Any, job: JobSpec) -> tuple[str, ...]:
    return tuple(space["model_name"].values) if space else (str(job.training_parameters.get("model_name")),)


def _setting(name: str, job: JobSpec, defaults: dict[str, Any]) -> Setting:
    if name in job.overrides:
        return Setting(name, job.overrides[name], str(job.overrides[name]), "run")
    found = [space[name] for space in job.search_spaces if name in space]
    if found:
        texts = list(dict.fromkeys(_text(distribution) for distribution in found))
        plain = all(distribution.kind == "fixed" for distribution in found)
        return Setting(name, [_value(d) for d in found], " | ".join(texts), "job" if plain else "searched")
    if name in job.training_parameters:
        return Setting(name, job.training_parameters[name], str(job.training_parameters[name]), "job")
    azure = job.defaults == "azure" and name in azure_defaults(AVAILABLE[0])
    value = defaults.get(name)
    text = "chosen on the validation images" if value is None else str(value)
    return Setting(name, value, text, "azure default" if azure else "default")


def _value(distribution: Distribution) -> Any:
    if distribution.kind in ("fixed", "choice"):
        return list(distribution.values)
    return {"type": distribution.kind, "min_value": distribution.low, "max_value": distribution.high}


def _text(distribution: Distribution) -> str:
    match distribution.kind:
        case "fixed" | "choice":
            return ", ".join(str(value) for value in distribution.values)
        case "uniform":
            return f"{distribution.low:g} to {distribution.high:g}"
        case "loguniform":
            return f"{math.exp(distribution.low):.3g} to {math.exp(distribution.high):.3g}, evenly in its logarithm"
    return distribution.kind
