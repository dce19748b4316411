"""What every route gets. Knows no routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scoring.server.bodies import Bodies
from scoring.server.metrics import Metrics
from scoring.server.service import Service
from scoring.server.settings import ServeSettings


@dataclass(frozen=True)
class Context:
    """`reloads` tells about looking for new models, for /metadata."""

    settings: ServeSettings
    service: Service
    metrics: Metrics
    bodies: Bodies
    reloads: Callable[[], dict[str, Any]] = dict

    @staticmethod
    def of(settings: ServeSettings) -> Context:
        """Everything new; the service has no model yet."""
        metrics = Metrics()
        service = Service(settings, metrics)
        metrics.watch(service)
        return Context(settings, service, metrics, Bodies(settings))
