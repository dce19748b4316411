"""One dial derives the rest: how many trials, which model and image size a budget on processor cores can train.

The rule (docs/job-file.md): with a budget and no GPU no trial gets less than four minutes, so there may be fewer of
them; the model is `nano`, a size that job files cannot name; the images are 256 px up to seven minutes of CPU time for
a trial, 320 px up to an hour, 416 px up to four hours, else 640 px. What the job fixes as one plain value stays. Pure.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from model_training.jobs.spec import JobSpec

PIXELS = ((420.0, 256), (3600.0, 320), (4 * 3600.0, 416), (math.inf, 640))  # up to so many CPU-seconds a trial
TRIAL_SECONDS = 240.0  # wall clock below which a trial learns too little to be compared


def fit_to_budget(job: JobSpec, *, device: str, cores: int, concurrent: int) -> tuple[JobSpec, str]:
    """The job with the sizes its budget allows and the reason in a line; unchanged and '' where there is no rule."""
    if device != "cpu" or not (job.budget_minutes or job.budget_cpu_seconds):
        return job, ""
    wanted = job.limits.max_trials
    job = _with_fewer_trials(job, concurrent)
    seconds = _cpu_seconds(job, cores, concurrent)
    chosen: dict[str, Any] = {}
    if not _fixed(job, "model_size"):
        chosen["model_size"] = "nano"
    if not _mentioned(job, "image_size"):
        chosen["image_size"] = next(pixels for limit, pixels in PIXELS if seconds <= limit)
    left = job.limits.max_trials
    said = ", ".join(filter(None, [_sizes(chosen), f"{left} of {wanted} trials" if left < wanted else ""]))
    if not said:
        return job, ""
    return replace(job, overrides={**job.overrides, **chosen}), f"{said}: {_plural(cores, 'CPU core')}, {_budget(job)}"


def _with_fewer_trials(job: JobSpec, concurrent: int) -> JobSpec:
    """As many as the wall clock has room for, in waves of `concurrent`; at least one wave."""
    if not job.budget_minutes:
        return job
    waves = max(1, int(job.budget_minutes * 60 // TRIAL_SECONDS))
    most = min(job.limits.max_trials, waves * concurrent)
    return replace(job, limits=replace(job.limits, max_trials=most))


def _cpu_seconds(job: JobSpec, cores: int, concurrent: int) -> float:
    """CPU time that one trial gets."""
    shares = []
    if job.budget_cpu_seconds:
        shares.append(job.budget_cpu_seconds)
    if job.budget_minutes:
        waves = math.ceil(job.limits.max_trials / concurrent)
        shares.append(job.budget_minutes * 60 / waves * max(1, cores // concurrent))
    return min(shares)


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
