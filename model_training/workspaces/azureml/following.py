"""Waiting for a run of the service to end, as long as it takes: told what changed, patient when it cannot be reached.

Knows nothing about what the run does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from model_training.workspaces.azureml.service import RunFacts, Service
from model_training.workspaces.base import Event, Reporter
from model_training.workspaces.run_states import ENDED
from scoring.errors import OfflineError, UnavailableError


@dataclass(frozen=True)
class Patience:
    """In seconds. Looks are `first` apart while something changes, and further and further while nothing does."""

    first: float = 15.0
    growth: float = 1.3
    longest: float = 120.0
    offline: float = 3600.0  # how long the service may be out of reach before waiting is given up
    index: float = 25.0  # what was submitted just now may be missing in a search for that long
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


def follow(
    service: Service, run_id: str, look: Callable[[RunFacts], bool], patience: Patience, reporter: Reporter
) -> RunFacts:
    """The run once it has ended. `look` is called with its facts each time and says whether anything is new.

    Raises: OfflineError, UnavailableError when the service was out of reach for too long; whatever `look` raises.
    """
    wait, lost = patience.first, None
    while True:
        try:
            facts = service.run(run_id)
            new = look(facts)
        except (OfflineError, UnavailableError) as error:
            lost = _still_patient(error, lost, patience, reporter)
            patience.sleep(max(wait, getattr(error, "retry_after", 0)))
            wait = min(wait * patience.growth, patience.longest)
            continue
        if facts.status in ENDED:
            return facts
        wait = patience.first if new else min(wait * patience.growth, patience.longest)
        lost = None
        patience.sleep(wait)


def _still_patient(
    error: OfflineError | UnavailableError, lost: float | None, patience: Patience, reporter: Reporter
) -> float:
    """Since when the service is out of reach."""
    now = patience.clock()
    if lost is None:
        reporter(Event("warning", f"cannot ask how the run is, and will go on trying: {error.message}"))
        return now
    if now - lost > patience.offline:
        raise error
    return lost
