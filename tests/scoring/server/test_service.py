"""The service without HTTP: one model a request, a bounded queue, deadlines, cancellation, fair turns."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from scoring.detections import Detections
from scoring.errors import BusyError, NotReadyError
from scoring.server import service as service_module
from scoring.server.service import Answered, Observer, ServedModel, Service
from scoring.server.settings import ServeSettings
from tests.scoring.server.running import served

Png = Callable[..., bytes]
LONG = 60.0  # seconds; no test waits so long


@dataclass
class Gate:
    """A detector that stops at each image until it is let through; `began` counts those that reached it."""

    real: Any
    opened: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    sizes: list[tuple[int, int]] = field(default_factory=list)

    @property
    def bundle(self) -> Any:
        return self.real.bundle

    @property
    def labels(self) -> tuple[str, ...]:
        labels: tuple[str, ...] = self.real.labels
        return labels

    def detect(self, images: Sequence[Any], **options: Any) -> list[Detections]:
        self.sizes.append(images[0].size)
        self.began.release()
        assert self.opened.acquire(timeout=20)
        found: list[Detections] = self.real.detect(images, **options)
        return found

    async def reached(self, images: int = 1) -> None:
        for _ in range(images):
            assert await asyncio.to_thread(self.began.acquire, timeout=20)

    def let(self, images: int) -> None:
        self.opened.release(images)


@pytest.fixture
def model(tiny_bundle: Callable[..., Path]) -> ServedModel:
    return served(tiny_bundle())


@pytest.fixture
def gate(model: ServedModel) -> Gate:
    return Gate(model.detector)


@pytest.fixture
def gated(model: ServedModel, gate: Gate) -> ServedModel:
    return replace(model, detector=gate)  # type: ignore[arg-type]


@pytest.fixture
def make() -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def build(model: ServedModel | None = None, observer: Observer | None = None, **options: Any) -> Service:
        service = Service(ServeSettings(**{"workers": 1, **options}), observer)
        made.append(service)
        if model is not None:
            service.use(model)
        return service

    yield build
    for service in made:
        service.close()


def test_answers_come_in_the_order_of_the_images(make: Callable[..., Service], model: ServedModel, png: Png) -> None:
    images = [png((250 * (n % 2), 0, 250 * (1 - n % 2)), (10 + n, 10)) for n in range(30)]
    answer = asyncio.run(make(model, workers=4).score(images, seconds=LONG))
    assert answer.complete and [each.width for each in answer.images if each] == [10 + n for n in range(30)]
    assert answer.model is model and answer.queued_ms >= 0
    assert answer.infer_ms == sum(each.infer_ms for each in answer.images if each)


def test_no_model_is_not_ready_and_says_why(make: Callable[..., Service], model: ServedModel, png: Png) -> None:
    service = make()
    with pytest.raises(NotReadyError, match="no model is loaded yet"):
        asyncio.run(service.score([png()], seconds=LONG))
    service.not_ready("the registry is away")
    with pytest.raises(NotReadyError, match="the registry is away"):
        asyncio.run(service.score([png()], seconds=LONG))
    service.use(model)
    assert service.reason == ""
    assert asyncio.run(service.score([png()], seconds=LONG)).complete


def test_a_full_queue_is_busy_and_frees_itself(
    make: Callable[..., Service], gated: ServedModel, gate: Gate, png: Png
) -> None:
    service = make(gated, queue=2)

    async def script() -> None:
        tasks = [asyncio.create_task(service.score([png()], seconds=LONG)) for _ in range(2)]
        await gate.reached()
        assert service.requests == 2
        with pytest.raises(BusyError, match="at most 2 requests") as caught:
            await service.score([png()], seconds=LONG)
        assert caught.value.retry_after >= 1
        gate.let(3)
        await asyncio.gather(*tasks)
        assert (await service.score([png()], seconds=LONG)).complete

    asyncio.run(script())
    assert (service.requests, service.held) == (0, 0)


def test_the_bytes_in_flight_are_bounded(
    make: Callable[..., Service], gated: ServedModel, gate: Gate, png: Png
) -> None:
    data = png()
    service = make(gated, max_held=2 * len(data))

    async def script() -> None:
        first = asyncio.create_task(service.score([data] * 2, seconds=LONG))
        await gate.reached()
        with pytest.raises(BusyError, match="MiB of images"):
            await service.score([b"x"], seconds=LONG)
        gate.let(5)
        await first
        assert (await service.score([data] * 3, seconds=LONG)).complete  # alone, even one that is larger

    asyncio.run(script())
    assert service.held == 0


def test_a_deadline_answers_what_was_done_and_starts_no_more(
    make: Callable[..., Service], gated: ServedModel, gate: Gate, png: Png
) -> None:
    service = make(gated)

    async def script() -> Answered:
        gate.let(1)
        task = asyncio.create_task(service.score([png(size=(9 + n, 9)) for n in range(4)], seconds=0.3))
        await gate.reached(2)
        return await task

    answer = asyncio.run(script())
    assert [each is not None for each in answer.images] == [True, False, False, False]
    assert not answer.complete
    gate.let(10)
    again = asyncio.run(service.score([png()], seconds=LONG))
    assert again.complete
    assert gate.sizes == [(9, 9), (10, 9), (40, 20)]  # neither the third nor the fourth was begun


def test_nothing_begins_after_its_deadline_though_the_event_loop_is_late(
    make: Callable[..., Service], gated: ServedModel, gate: Gate, png: Png
) -> None:
    service = make(gated)

    async def script() -> Answered:
        task = asyncio.create_task(service.score([png()] * 2, seconds=0.1))
        await gate.reached()
        time.sleep(0.2)  # the loop cannot notice
        gate.let(2)
        assert not gate.began.acquire(timeout=0.2)
        return await task

    assert asyncio.run(script()).images[1] is None
    assert len(gate.sizes) == 1


def test_no_time_at_all_answers_none(make: Callable[..., Service], model: ServedModel, png: Png) -> None:
    answer = asyncio.run(make(model).score([png()], seconds=0))
    assert answer.images == [None]


def test_cancelling_gives_up_what_has_not_begun(
    make: Callable[..., Service], gated: ServedModel, gate: Gate, png: Png
) -> None:
    service = make(gated)

    async def script() -> None:
        task = asyncio.create_task(service.score([png(size=(9 + n, 9)) for n in range(4)], seconds=LONG))
        await gate.reached()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (service.requests, service.held) == (0, 0)
        gate.let(9)
        await service.score([png()], seconds=LONG)

    asyncio.run(script())
    assert gate.sizes == [(9, 9), (40, 20)]


def test_a_request_keeps_its_model_though_another_goes_live(
    make: Callable[..., Service], gated: ServedModel, gate: Gate, model: ServedModel, png: Png
) -> None:
    service = make(gated)

    async def script() -> tuple[Answered, Answered]:
        old = asyncio.create_task(service.score([png()] * 3, seconds=LONG))
        await gate.reached()
        service.use(replace(model, version="2"))
        new = asyncio.create_task(service.score([png()], seconds=LONG))
        gate.let(3)
        return await old, await new

    old, new = asyncio.run(script())
    assert (old.model.version, new.model.version) == ("1", "2")
    assert len(gate.sizes) == 3 and old.complete and new.complete


def test_a_small_request_does_not_wait_for_a_large_one(
    make: Callable[..., Service], gated: ServedModel, gate: Gate, png: Png
) -> None:
    service = make(gated)

    async def script() -> None:
        large = asyncio.create_task(service.score([png(size=(9, 9))] * 50, seconds=LONG))
        await gate.reached()
        small = asyncio.create_task(service.score([png()], seconds=LONG))
        await asyncio.sleep(0)
        gate.let(3)
        assert (await small).complete
        assert not large.done()
        gate.let(50)
        await large

    asyncio.run(script())
    assert gate.sizes.index((40, 20)) <= 2


def test_a_fault_reaches_the_one_who_asked_and_nobody_else(
    make: Callable[..., Service], model: ServedModel, png: Png
) -> None:
    class Broken(Gate):
        def detect(self, images: Sequence[Any], **options: Any) -> list[Detections]:
            if images[0].width == 13:
                raise RuntimeError("out of luck")
            found: list[Detections] = self.real.detect(images, **options)
            return found

    service = make(replace(model, detector=Broken(model.detector)), workers=2)  # type: ignore[arg-type]

    async def script() -> None:
        bad = service.score([png(), png(size=(13, 9)), png(size=(13, 9))], seconds=LONG)
        good = [service.score([png()] * 3, seconds=LONG) for _ in range(3)]
        with pytest.raises(RuntimeError, match="out of luck"):
            await bad
        assert all(answer.complete for answer in await asyncio.gather(*good))

    asyncio.run(script())
    assert service.requests == 0


def test_an_old_model_and_the_images_are_let_go(
    make: Callable[..., Service], model: ServedModel, tiny_bundle: Callable[..., Path], png: Png
) -> None:
    old = served(tiny_bundle("old"))
    detector, service, image = weakref.ref(old.detector), make(old, workers=2), png()
    before = sys.getrefcount(image)
    assert asyncio.run(service.score([image] * 4, seconds=LONG)).complete
    service.use(model)
    del old
    gc.collect()
    assert detector() is None
    assert sys.getrefcount(image) == before


def test_the_observer_hears_of_every_answer(make: Callable[..., Service], model: ServedModel, png: Png) -> None:
    heard: list[Answered] = []

    class Ear(Observer):
        def answered(self, answer: Answered) -> None:
            heard.append(answer)

    service = make(model, Ear())
    answer = asyncio.run(service.score([png(), b"no image"], seconds=LONG))
    assert heard == [answer]
    assert [each.error is None for each in answer.images if each] == [True, False]


def test_a_worker_may_answer_and_the_loop_hears_later(
    make: Callable[..., Service], model: ServedModel, png: Png, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "SETTLE_SECONDS", 1000.0)
    service = make(model)
    threads: list[str] = []
    told = asyncio.Event()

    def early(answer: Answered, heard: Callable[[], None]) -> bool:
        threads.append(threading.current_thread().name)
        assert answer.complete and answer.decode_ms > 0 and answer.infer_ms > 0
        service.later(heard)
        return True

    async def script() -> None:
        request = service.begin([png()], lambda error: told.set(), seconds=LONG, early=early)
        while not threads:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not told.is_set() and service.requests == 1
        service.settle()
        assert told.is_set()
        service.end(request)
        assert (service.requests, service.held) == (0, 0)

    asyncio.run(script())
    assert threads == ["score-0"]


@pytest.mark.parametrize("images", [0, 1, 2])
def test_a_worker_that_does_not_answer_leaves_it_to_the_loop(
    make: Callable[..., Service], model: ServedModel, png: Png, images: int
) -> None:
    service = make(model)
    asked: list[int] = []

    def early(answer: Answered, heard: Callable[[], None]) -> bool:
        asked.append(len(answer.images))
        return False

    async def script() -> None:
        told = asyncio.Event()
        request = service.begin([png()] * images, lambda error: told.set(), seconds=LONG, early=early)
        await asyncio.wait_for(told.wait(), 20)
        assert len(service.answered(request).images) == images
        service.end(request)

    asyncio.run(script())
    assert asked == ([1] if images == 1 else [])


def test_deadlines_of_all_lengths_are_kept_in_one_loop_after_another(
    make: Callable[..., Service], gated: ServedModel, gate: Gate, png: Png
) -> None:
    service = make(gated, workers=1)

    async def script() -> None:
        began, ended = time.monotonic(), {}

        async def ask(seconds: float) -> None:
            assert not (await service.score([png()], seconds=seconds)).complete
            ended[seconds] = time.monotonic() - began

        await asyncio.gather(*map(ask, (0.6, 0.1, 1.4, 0.3)))
        assert all(took >= seconds for seconds, took in ended.items())
        assert sorted(ended, key=ended.__getitem__) == [0.1, 0.3, 0.6, 1.4]

    for _ in range(2):
        asyncio.run(script())
        gate.let(1)


def test_one_answer_that_cannot_be_settled_is_logged_and_no_other_suffers(
    make: Callable[..., Service], caplog: pytest.LogCaptureFixture
) -> None:
    service, heard = make(), []

    def fails() -> None:
        raise ZeroDivisionError("of this test")

    for call in (fails, lambda: heard.append(1)):
        service.later(call)
    service.settle()
    assert heard == [1] and "of this test" in caplog.text


def test_a_worker_outlives_what_it_could_not_tell(
    make: Callable[..., Service], model: ServedModel, png: Png, caplog: pytest.LogCaptureFixture
) -> None:
    service = make(model, workers=1)

    def early(answer: Answered, heard: Callable[[], None]) -> bool:
        raise ZeroDivisionError("of this test")

    async def script() -> None:
        request = service.begin([png()], lambda error: None, seconds=LONG, early=early)
        assert (await service.score([png()], seconds=LONG)).complete
        service.end(request)

    asyncio.run(script())
    assert "of this test" in caplog.text
