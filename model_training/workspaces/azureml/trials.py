"""What an AutoML run of the service says of its trials, as values: hyperparameters, numbers of the best epoch, status.

The trials of an image run are the children of its sweep, `<run>_HD_0`, `<run>_HD_1`…; older ones are its own children.
Their hyperparameters stand in the sweep's tags. Knows nothing about waiting or files.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from model_training.jobs.spec import JobSpec
from model_training.workspaces.azureml.service import RunFacts, Service
from model_training.workspaces.base import TrialResult

SWEEP = "_HD"
SYSTEM = "_aml_system_"
HYPERPARAMETERS = "hyperparameters"
_NUMBER = re.compile(r".*_(\d+)")
_WORDS = {"Completed": "completed", "Failed": "failed", "Canceled": "stopped"}


@dataclass(frozen=True)
class Trial:
    number: int
    facts: RunFacts
    hyperparameters: Mapping[str, Any]


def trials_of(service: Service, parent: RunFacts) -> list[Trial]:
    """By number."""
    children = service.children(parent.id)
    sweep = next((child for child in children if child.id.endswith(SWEEP)), None)
    found = service.children(sweep.id) if sweep else children
    numbered = [(int(match[1]), child) for child in found if (match := _NUMBER.fullmatch(child.id))]
    if not numbered:
        numbered = list(enumerate(sorted(found, key=lambda child: (child.created_at, child.id))))
    given = {**parent.tags, **(sweep.tags if sweep else {})}
    return [Trial(number, child, _hyperparameters(child, given)) for number, child in sorted(numbered, key=_first)]


def result(
    trial: Trial, metrics: Mapping[str, Sequence[float]], job: JobSpec, folder: Path, exported: Path | None = None
) -> TrialResult:
    """How it ended; the numbers are all of one epoch, the one with the best primary metric."""
    values, best = at_best(metrics, job.primary_metric)
    facts = trial.facts
    return TrialResult(
        number=trial.number,
        status=_WORDS.get(facts.status, "cancelled"),
        algorithm=str(trial.hyperparameters.get("model_name") or _named(job)),
        hyperparameters={key: value for key, value in trial.hyperparameters.items() if key != "model_name"},
        metrics=values,
        best_epoch=best + 1 if best is not None else 0,
        epochs=len(metrics.get(job.primary_metric, ())),
        cpu_seconds=0.0,  # the service counts no CPU time
        seconds=seconds(facts),
        folder=folder,
        weights=None,
        reason=facts.error if facts.status == "Failed" else "",
        exported=exported,
    )


def at_best(metrics: Mapping[str, Sequence[float]], primary: str) -> tuple[dict[str, Any], int | None]:
    """Every number at the measurement where the primary metric was best, and which one that was (from 0).

    What was measured another number of times belongs to no single epoch and is left out; what is undefined is None.
    """
    course = metrics.get(primary, ())
    defined = [index for index, value in enumerate(course) if math.isfinite(value) and value >= 0]
    if not defined:
        return {}, None
    best = max(defined, key=lambda index: course[index])
    together = {name: values[best] for name, values in metrics.items() if len(values) == len(course)}
    return {name: value if math.isfinite(value) and value != -1 else None for name, value in together.items()}, best


def own_error(service: Service, parent: RunFacts) -> str:
    """What went wrong, in the words of the run that it went wrong in: a trial, the sweep, or the run itself."""
    trials = [trial.facts for trial in trials_of(service, parent)]
    said = [facts.error for facts in (*trials, *service.children(parent.id), parent) if facts.error]
    return said[0] if said else "the service gives no reason"


def seconds(facts: RunFacts) -> float:
    """From start to end; 0 where the service does not say."""
    try:
        begun, ended = (
            datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (facts.created_at, facts.ended_at)
        )
        return max((ended - begun).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def _first(item: tuple[int, RunFacts]) -> int:
    return item[0]


def _hyperparameters(child: RunFacts, given: Mapping[str, str]) -> dict[str, Any]:
    """From the sweep's tags, or the child's own."""
    texts = (given.get(f"{SYSTEM}{child.id}"), given.get(child.id), child.tags.get(HYPERPARAMETERS))
    text = next((text for text in (*texts, child.properties.get(HYPERPARAMETERS)) if text), "")
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        value = {}
    found = {str(key).lstrip("-"): item for key, item in value.items()} if isinstance(value, dict) else {}
    named = child.tags.get("model_name") or child.properties.get("model_name")
    return found if not named else {"model_name": named, **found}


def _named(job: JobSpec) -> str:
    """The one algorithm that the job names, '' where it leaves a choice."""
    names = {
        name for space in job.search_spaces for name in (space["model_name"].values if "model_name" in space else ())
    }
    fixed = job.training_parameters.get("model_name")
    return str(fixed or (names.pop() if len(names) == 1 else ""))
