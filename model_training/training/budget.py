"""How much of a trial's budget is spent: CPU-seconds of this process and its children, or wall-clock seconds.

Knows nothing about training. Started after the imports, which are not counted; a resumed trial adds what was spent.
"""

from __future__ import annotations

import resource
import time


class Budget:
    """`cpu_seconds` and `seconds` are what may be spent; None is no limit."""

    def __init__(self, cpu_seconds: float | None = None, seconds: float | None = None) -> None:
        self.limit_cpu, self.limit = cpu_seconds, seconds
        self._cpu, self._wall = -_cpu_now(), -time.monotonic()

    def resume(self, cpu_seconds: float, seconds: float) -> None:
        """Add what earlier processes of the same trial spent."""
        self._cpu += cpu_seconds
        self._wall += seconds

    @property
    def cpu_spent(self) -> float:
        return self._cpu + _cpu_now()

    @property
    def spent(self) -> float:
        return self._wall + time.monotonic()

    def progress(self, reserve_cpu: float = 0.0, reserve: float = 0.0) -> float:
        """The share that is spent of what remains when the reserves are kept; 0 without a limit."""
        shares = [0.0]
        if self.limit_cpu is not None:
            shares.append(self.cpu_spent / max(self.limit_cpu - reserve_cpu, 1e-9))
        if self.limit is not None:
            shares.append(self.spent / max(self.limit - reserve, 1e-9))
        return max(shares)


def _cpu_now() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
