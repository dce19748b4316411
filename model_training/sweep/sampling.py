"""Which hyperparameters a trial gets: a function of the spaces, the seed and the trial's number, and of nothing else.

So a sweep gives the same trials whichever number of them runs at once and wherever it was interrupted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_training.jobs.spec import Distribution

Space = Mapping[str, Distribution]


@dataclass(frozen=True)
class Sample:
    """`values` are hyperparameters by name; `params` and `distributions` the same as Optuna stores them."""

    values: Mapping[str, Any]
    params: Mapping[str, Any] = field(default_factory=dict)
    distributions: Mapping[str, Any] = field(default_factory=dict)


def sample(spaces: Sequence[Space], seed: int, number: int) -> Sample:
    """Draw trial `number`: first one of the conditional spaces, then a value from each of its distributions."""
    if not spaces:
        return Sample({})
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=_seed(seed, number)))
    trial = study.ask()
    index = trial.suggest_categorical("search_space", range(len(spaces))) if len(spaces) > 1 else 0
    # A name may have another range in another space, which one Optuna study cannot hold under one name.
    prefix = f"{index}:" if len(spaces) > 1 else ""
    values = {name: _draw(trial, prefix + name, spaces[index][name]) for name in sorted(spaces[index])}
    return Sample(values, trial.params, trial.distributions)


def _draw(trial: Any, name: str, distribution: Distribution) -> Any:
    match distribution.kind:
        case "fixed":
            return distribution.values[0]
        case "choice":
            return trial.suggest_categorical(name, distribution.values)
        case "uniform":
            return trial.suggest_float(name, distribution.low, distribution.high)
        case "loguniform":
            return trial.suggest_float(name, math.exp(distribution.low), math.exp(distribution.high), log=True)
    raise ValueError(f"the distribution {distribution.kind} cannot be sampled here")


def _seed(seed: int, number: int) -> int:
    """Neighbouring numbers give unrelated draws."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4], "big")
