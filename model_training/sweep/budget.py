"""One dial derives the rest: which model and image size a budget on processor cores can train. Pure; says why.

The rule (docs/job-file.md): with a budget and no GPU the model is `nano`, a size that job files cannot name, and the
images are 320 px up to an hour of CPU time for a trial, 416 px up to four hours, else 640 px. What the job fixes as one
plain value stays.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from model_training.jobs.spec import JobSpec

PIXELS = ((3600.0, 320), (4 * 3600.0, 416), (math.inf, 640))  # up to so many CPU-seconds a trial


def fit_to_budget(job: JobSpec, *, device: str, cores: int, concurrent: int) -> tuple[JobSpec, str]:
    """The job with the sizes its budget allows and the reason in a line; unchanged and '' where there is no rule."""
    seconds = _cpu_seconds(job, cores, concurrent)
    if device != "cpu" or seconds is None:
        return job, ""
    chosen: dict[str, Any] = {}
    if not _fixed(job, "model_size"):
        chosen["model_size"] = "nano"
    if not _mentioned(job, "image_size"):
        chosen["image_size"] = next(pixels for limit, pixels in PIXELS if seconds <= limit)
    if not chosen:
        return job, ""
    fitted = replace(job, overrides={**job.overrides, **chosen})
    return fitted, f"{_sizes(chosen)}: {_plural(cores, 'CPU core')}, {_budget(job)}"


def _cpu_seconds(job: JobSpec, cores: int, concurrent: int) -> float | None:
    """CPU time that one trial gets, None without a budget."""
    shares = []
    if job.budget_cpu_seconds:
        shares.append(job.budget_cpu_seconds)
    if job.budget_minutes:
        waves = math.ceil(job.limits.max_trials / concurrent)
        shares.append(job.budget_minutes * 60 / waves * max(1, cores // concurrent))
    return min(shares, default=None)


def _fixed(job: JobSpec, name: str) -> bool:
    """Whether the job, or its run, gives the hyperparameter one plain value in every trial."""
    plain = [space[name].kind == "fixed" for space in job.search_spaces if name in space]
    everywhere = len(plain) == len(job.search_spaces) > 0
    return name in job.overrides or (all(plain) and (everywhere or name in job.training_parameters))


def _mentioned(job: JobSpec, name: str) -> bool:
    return name in {**job.overrides, **job.training_parameters} or any(name in space for space in job.search_spaces)


def _sizes(chosen: dict[str, Any]) -> str:
    pixels = f"{chosen['image_size']} px" if "image_size" in chosen else ""
    return " at ".join(filter(None, [chosen.get("model_size", ""), pixels]))


def _budget(job: JobSpec) -> str:
    parts = []
    if job.budget_minutes:
        parts.append(f"{job.budget_minutes:g} min")
    if job.budget_cpu_seconds:
        parts.append(f"{job.budget_cpu_seconds:g} CPU-seconds a trial")
    return ", ".join(parts)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
