"""The `limits` and `sweep` parts of a job file: limits, sampling, early termination. Knows no hyperparameters."""

from __future__ import annotations

import math
from typing import Any

from model_training.jobs.problems import Problems, nearest
from model_training.jobs.search_space import NOT_HERE, snake
from model_training.jobs.spec import EarlyTermination, Limits
from model_training.jobs.yaml_tree import Value

SAMPLINGS = ("random", "grid", "bayesian")
POLICIES = {
    "bandit": ("slack_factor", "slack_amount"),
    "median_stopping": (),
    "truncation_selection": ("truncation_percentage", "exclude_finished_jobs"),
}
LIMITS = {"timeout_minutes": 10080, "max_trials": 1, "max_concurrent_trials": 1}


def is_number(data: Any) -> bool:
    """A finite number; true and false are none."""
    return isinstance(data, int | float) and not isinstance(data, bool) and math.isfinite(data)


def read_limits(value: Value | None, problems: Problems) -> Limits:
    """The three limits, Azure's defaults where they are left out."""
    found: dict[str, int] = {}
    for key, item in (value.data if value else {}).items():
        if key not in LIMITS:
            problems.error(item.line, f"unknown key '{key}' in limits{nearest(key, LIMITS)}")
        elif not isinstance(item.data, int) or isinstance(item.data, bool) or item.data < 1:
            problems.error(item.line, f"{key}: expected a whole number of at least 1, found {item.kind}")
        else:
            found[key] = item.data
    limits = Limits(**{**LIMITS, **found})
    if "max_concurrent_trials" in found and limits.max_concurrent_trials > limits.max_trials and value:
        problems.error(
            value.data["max_concurrent_trials"].line,
            f"max_concurrent_trials {limits.max_concurrent_trials} is more than max_trials {limits.max_trials}",
        )
    return limits


def read_sampling(sweep: Value, problems: Problems, *, local: bool, conditional: bool) -> str:
    """The sampling algorithm; `random` stands in where a problem is told."""
    for key, item in sweep.data.items():
        if key not in ("sampling_algorithm", "early_termination"):
            known = ("sampling_algorithm", "early_termination")
            problems.error(item.line, f"unknown key '{key}' in sweep{nearest(key, known)}")
    value = sweep.data.get("sampling_algorithm")
    if value is None or not isinstance(value.data, str) or snake(value.data) not in SAMPLINGS:
        found = value.kind if value else "nothing"
        line = value.line if value else sweep.line
        problems.error(line, f"sampling_algorithm: expected one of {', '.join(SAMPLINGS)}, found {found}")
        return "random"
    name = snake(value.data)
    if local and name != "random":
        problems.error(value.line, f"sampling_algorithm {name} is {NOT_HERE}")
    if not local and name == "bayesian" and conditional:
        problems.error(
            value.line, "Azure ML's bayesian sampling takes one search space, found a list; use random or grid"
        )
    return name


def read_early_termination(sweep: Value, problems: Problems, *, local: bool) -> EarlyTermination | None:
    """The policy, or None where there is none or a problem is told."""
    value = sweep.data.get("early_termination")
    if value is None:
        return None
    if not isinstance(value.data, dict):
        problems.error(value.line, f"early_termination: expected {{type: bandit, …}}, found {value.kind}")
        return None
    kind = value.data.get("type")
    if kind is None or not isinstance(kind.data, str) or snake(kind.data) not in POLICIES:
        found = kind.kind if kind else "nothing"
        problems.error(value.line, f"early_termination: expected a type of {', '.join(POLICIES)}, found {found}")
        return None
    name = snake(kind.data)
    if local and name != "bandit":
        problems.error(kind.line, f"early_termination {name} is {NOT_HERE}")
        return None
    numbers = _policy_numbers(value, name, problems)
    if name == "bandit" and ("slack_factor" in numbers) == ("slack_amount" in numbers):
        both = "both" if "slack_factor" in numbers else "neither"
        problems.error(value.line, f"bandit: expected slack_factor or slack_amount, found {both}")
        return None
    return EarlyTermination(
        kind=name,
        evaluation_interval=int(numbers.get("evaluation_interval", 1)),
        delay_evaluation=int(numbers.get("delay_evaluation", 0)),
        slack_factor=numbers.get("slack_factor"),
        slack_amount=numbers.get("slack_amount"),
        truncation_percentage=int(percentage) if (percentage := numbers.get("truncation_percentage")) else None,
    )


def _policy_numbers(value: Value, name: str, problems: Problems) -> dict[str, float]:
    """The policy's keys that hold what they should."""
    found: dict[str, float] = {}
    known = ("evaluation_interval", "delay_evaluation", *POLICIES[name])
    for key, item in value.data.items():
        if key == "type":
            continue
        if key not in known:
            problems.error(item.line, f"unknown key '{key}' in {name}{nearest(key, known)}; it has {', '.join(known)}")
        elif key == "exclude_finished_jobs":
            if not isinstance(item.data, bool):
                problems.error(item.line, f"{key}: expected true or false, found {item.kind}")
        elif (expected := _expected(key, item.data)) is not None:
            problems.error(item.line, f"{key}: expected {expected}, found {item.kind}")
        else:
            found[key] = item.data
    return found


def _expected(key: str, data: Any) -> str | None:
    """What a policy's number must be, None when it is."""
    if key.startswith("slack"):
        return None if is_number(data) and data >= 0 else "a number of at least 0"
    whole = isinstance(data, int) and not isinstance(data, bool)
    if key == "truncation_percentage":
        return None if whole and 1 <= data <= 99 else "a whole number in [1, 99]"
    least = 1 if key == "evaluation_interval" else 0
    return None if whole and data >= least else f"a whole number of at least {least}"
