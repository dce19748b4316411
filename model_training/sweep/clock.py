"""The time a sweep has: its limit and budget, less what was spent before an interruption. Survives a kill.

Time while nothing ran is not counted.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

from model_training.sweep.files import read_json
from scoring.files import write_json

SAVE_EVERY = 2.0  # seconds
END_MARGIN = 10.0  # seconds that a trial has for its last validation before the limit is reached
START_SECONDS = 6.0  # imports and decoding of a trial, which its own budget does not count


class Clock:
    """`remaining()` counts down to the sweep's end in wall-clock seconds."""

    def __init__(self, path: Path, *, timeout_minutes: float, budget_minutes: float | None) -> None:
        self._path = path
        self._before = float((read_json(path) or {}).get("elapsed_seconds", 0.0))
        self._begin = self._saved = time.monotonic()
        self.timeout = timeout_minutes * 60
        self.budget = budget_minutes * 60 if budget_minutes else None
        self.limit = min(self.timeout, self.budget or math.inf)

    def elapsed(self) -> float:
        return self._before + time.monotonic() - self._begin

    def remaining(self) -> float:
        return self.limit - self.elapsed()

    def save(self, *, now: bool = False) -> None:
        """Write the spent time down, at most every other second."""
        if now or time.monotonic() - self._saved >= SAVE_EVERY:
            self._saved = time.monotonic()
            write_json(self._path, {"elapsed_seconds": round(self.elapsed(), 3)})

    def deadline(self) -> float:
        """Unix time at which a trial must have ended by itself; a little before the limit."""
        remaining = self.remaining()
        return time.time() + remaining - min(END_MARGIN, remaining * 0.1)

    def share(self, trials: int, concurrent: int) -> float | None:
        """Seconds of training for the next trial when `trials` are still to come, None without a budget."""
        if self.budget is None:
            return None
        wave = self.remaining() / math.ceil(trials / concurrent)
        return max(1.0, wave - min(START_SECONDS + END_MARGIN, wave * 0.3))

    @property
    def reason(self) -> str:
        """What ended, in words."""
        if self.budget is not None and self.budget <= self.timeout:
            return f"the budget of {self.budget / 60:g} minutes is spent"
        return f"the limit of {self.timeout / 60:g} minutes (timeout_minutes) is reached"
