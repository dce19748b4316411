"""How far a trial is: of its epochs and of its budget. Knows nothing about models or files."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_training.training.budget import Budget

VALIDATION_SHARE = 0.6  # of a training image's cost, until a validation was measured


@dataclass
class Position:
    """Where a trial is; all of it stands in the checkpoint."""

    epoch: int = 1
    step: int = 0  # done in this epoch
    steps: int = 0  # done in all
    losses: list[float] = field(default_factory=list)  # of this epoch
    best: float = -1.0
    best_epoch: int = 0
    best_metrics: Mapping[str, Any] | None = None
    evaluations: int = 0
    since_best: int = 0  # evaluations
    validation_cpu: float = 0.0  # what one validation costs
    validation_seconds: float = 0.0
    cpu_spent: float = 0.0
    spent: float = 0.0
    ending: str = ""  # why the run is over, once it is

    @property
    def loss(self) -> float:
        """Of this epoch so far."""
        return sum(self.losses) / max(1, len(self.losses))


@dataclass(frozen=True)
class Plan:
    """What the trial means to do."""

    epochs: int
    steps: int  # an epoch
    batch: int
    validation_images: int


class Progress:
    """`share` goes from 0 to 1 over the epochs or the budget, whichever is further; it drives the schedule."""

    def __init__(self, plan: Plan, at: Position, budget: Budget) -> None:
        self.plan, self.at, self.budget = plan, at, budget
        self._first = (at.steps, budget.cpu_spent, budget.spent)
        self.begin_epoch()

    def begin_epoch(self) -> None:
        self._epoch = (self.at.step, time.monotonic())

    @property
    def epochs_done(self) -> float:
        return self.at.epoch - 1 + self.at.step / self.plan.steps

    @property
    def share(self) -> float:
        return max(self.epochs_done / self.plan.epochs, self.budget.progress(*self._reserve()))

    @property
    def epochs(self) -> int:
        """How many epochs the plan or the budget allows, as far as is known now."""
        if not self.epochs_done:
            return self.plan.epochs
        allowed = math.ceil(self.epochs_done / self.share - 1e-6)
        return min(self.plan.epochs, max(allowed, self.at.epoch))

    @property
    def seconds_left(self) -> float:
        share = min(self.share, 1.0)
        return self.budget.spent * (1 - share) / max(share, 1e-9)

    @property
    def images_per_second(self) -> float:
        """Of wall clock, in this epoch."""
        first, started = self._epoch
        return (self.at.step - first) * self.plan.batch / max(time.monotonic() - started, 1e-9)

    def _reserve(self) -> tuple[float, float]:
        """CPU-seconds and seconds to keep for the last validation: as the one before, or by what training costs."""
        if self.at.evaluations:
            return self.at.validation_cpu, self.at.validation_seconds
        steps, cpu, wall = self._first
        images = (self.at.steps - steps) * self.plan.batch
        share = VALIDATION_SHARE * self.plan.validation_images / images if images else 0.0
        return share * (self.budget.cpu_spent - cpu), share * (self.budget.spent - wall)
