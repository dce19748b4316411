"""The numbers behind /metrics, in a registry of their own: two applications in one process do not mix.

What requests took is only noted, and counted some hundred at a time or when somebody asks: counting each after its
model ran took 60 us where noting takes 15.

Knows the service's own numbers and nothing about HTTP frameworks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scoring.server.service import Answered, Observer, Service

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
NOTED = 256  # requests and answers, before they are counted
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


class Metrics(Observer):
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "cva_requests", "requests answered", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "cva_request_seconds", "from head to answer", ("route",), buckets=BUCKETS, registry=self.registry
        )
        self._noted: deque[Callable[[], None]] = deque()  # from any thread, counted by the event loop
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        part = Histogram(
            "cva_score_seconds", "of one scored request, by part", ("part",), buckets=BUCKETS, registry=self.registry
        )
        self._queue, self._decode, self._infer = (part.labels(each) for each in ("queue", "decode", "infer"))
        self._images = Counter("cva_images", "images, by what became of them", ("outcome",), registry=self.registry)
        self._scored, self._bad, self._late = (self._images.labels(each) for each in ("scored", "refused", "late"))
        self._rejected = Counter(
            "cva_rejected", "requests refused because there were too many (429)", registry=self.registry
        )
        self._reloads = Counter("cva_reloads", "attempts to load a model", ("outcome",), registry=self.registry)

    def watch(self, service: Service) -> None:
        """Show the service's own numbers too, as they are at each scrape."""
        self.registry.register(_Now(service))

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        self._noted.append(partial(self._count_request, route, method, status, seconds))
        if len(self._noted) >= NOTED:
            self._count()

    def answered(self, answer: Answered) -> None:
        times = answer.queued_ms, answer.decode_ms, answer.infer_ms
        became = [each and each.found is not None for each in answer.images]  # an error keeps an image and a model
        self._noted.append(partial(self._count_answer, became, times))

    def _count(self) -> None:
        while self._noted:
            self._noted.popleft()()

    def _count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        key = route, method if method in METHODS else "other", status
        if key not in self._series:  # finding them among their labels takes longer than counting
            self._series[key] = self._requests.labels(*map(str, key)), self._seconds.labels(route)
        count, took = self._series[key]
        count.inc()
        took.observe(seconds)
        if status == 429:
            self._rejected.inc()

    def _count_answer(self, became: Sequence[bool | None], times: tuple[float, float, float]) -> None:
        """`became`: of each image whether it was scored, None where it was late."""
        for part, milliseconds in zip((self._queue, self._decode, self._infer), times, strict=True):
            part.observe(milliseconds / 1000)
        for count, what in ((self._scored, True), (self._bad, False), (self._late, None)):
            count.inc(became.count(what))

    def reload(self, outcome: str) -> None:
        """`outcome`: loaded, rejected, unavailable. From any thread."""
        self._reloads.labels(outcome).inc()

    def text(self) -> bytes:
        self._count()
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
