"""The numbers behind /metrics, in a registry of their own: two applications in one process do not mix.

Knows the service's own numbers and nothing about HTTP frameworks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from scoring.server.service import Answered, Observer, Service

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, float("inf"))
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
PARTS = ("queue", "decode", "infer")


class Durations(Collector):
    """A histogram of seconds with one label. prometheus_client's own takes ten times as long to be told one.

    It belongs to the event loop, and has no lock.
    """

    def __init__(self, name: str, documentation: str, label: str, values: tuple[str, ...] = ()) -> None:
        self._about = name, documentation
        self._label = label
        self._counts = {value: [0] * len(BUCKETS) for value in values}
        self._sums = dict.fromkeys(values, 0.0)

    def observe(self, value: str, seconds: float) -> None:
        if value not in self._counts:
            self._counts[value], self._sums[value] = [0] * len(BUCKETS), 0.0
        self._counts[value][bisect_left(BUCKETS, seconds)] += 1
        self._sums[value] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(*self._about, labels=(self._label,))
        bounds = [*map(str, BUCKETS[:-1]), "+Inf"]
        for value, counts in self._counts.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric((value,), buckets, sum_value=self._sums[value])
        yield family


class Metrics(Observer):
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "cva_requests", "requests answered", ("route", "method", "status"), registry=self.registry
        )
        self._series: dict[tuple[str, str, int], Counter] = {}  # looking up by labels takes longer than counting
        self._seconds = Durations("cva_request_seconds", "from head to answer", "route")
        self._parts = Durations("cva_score_seconds", "of one scored request, by part", "part", PARTS)
        self.registry.register(self._seconds)
        self.registry.register(self._parts)
        self._images = Counter("cva_images", "images, by what became of them", ("outcome",), registry=self.registry)
        self._scored, self._bad, self._late = (self._images.labels(each) for each in ("scored", "refused", "late"))
        self._rejected = Counter("cva_rejected", "requests refused because the queue was full", registry=self.registry)
        self._reloads = Counter("cva_reloads", "attempts to load a model", ("outcome",), registry=self.registry)

    def watch(self, service: Service) -> None:
        """Show the service's own numbers too, as they are at each scrape."""
        self.registry.register(_Now(service))

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        key = route, method if method in METHODS else "other", status
        if key not in self._series:
            self._series[key] = self._requests.labels(*map(str, key))
        self._series[key].inc()
        self._seconds.observe(route, seconds)

    def answered(self, answer: Answered) -> None:
        for part, milliseconds in zip(PARTS, (answer.queued_ms, answer.decode_ms, answer.infer_ms), strict=True):
            self._parts.observe(part, milliseconds / 1000)
        for each in answer.images:
            (self._late if each is None else self._bad if each.found is None else self._scored).inc()

    def rejected(self) -> None:
        self._rejected.inc()

    def reload(self, outcome: str) -> None:
        """`outcome`: loaded, rejected, unavailable. From any thread."""
        self._reloads.labels(outcome).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Now(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[GaugeMetricFamily]:
        service = self._service
        yield GaugeMetricFamily("cva_in_flight", "requests that wait or are being scored", service.requests)
        yield GaugeMetricFamily("cva_queue_length", "requests that wait for a worker", service.waiting)
        yield GaugeMetricFamily("cva_held_bytes", "encoded images in memory", service.held)
        yield GaugeMetricFamily("cva_ready", "1 while a model is loaded", int(service.model is not None))
        info = GaugeMetricFamily(
            "cva_model_info", "the model that serves", labels=("name", "version", "manifest_sha256")
        )
        if (model := service.model) is not None:
            info.add_metric((model.name, model.version, model.manifest_sha256), 1)
        yield info
