"""Images in, scores out, on a fixed number of threads and within a fixed amount of memory. Knows no HTTP.

Every admitted request goes round: a worker takes its next image and puts the request back behind the others, so a
request of a thousand images does not keep out a request of one. Only the event loop touches a request's results, only
the one worker that holds it takes its next image: there is no lock.

Waking the event loop for an answer costs 0.2 ms. Who begins a request of one image may answer in the worker (`early`);
the loop then hears of it when it wakes for something else (`settle`), or within SETTLE_SECONDS.

Memory: at most `settings.max_held` bytes of encoded images that wait or are scored (one request may always enter an
empty service), and on top of it one decoded image a worker, each at most about 4 x `limits.max_pixels` x 3 bytes while
it is converted. A request that is given up lets its images go at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from scoring.errors import BusyError, NotReadyError
from scoring.scorer import Scored, score_image
from scoring.server.line import Line
from scoring.server.settings import MIB, ServeSettings

if TYPE_CHECKING:
    from scoring.detector import Detector

log = logging.getLogger(__name__)

SETTLE_SECONDS = 1.0

Threshold = float | Mapping[str, float] | None


@dataclass(frozen=True)
class ServedModel:
    """An exact model in memory. `version` is "" where nobody gave it one; `loaded_at` is UTC."""

    name: str
    version: str
    detector: Detector
    manifest_sha256: str
    loaded_at: str


class Answered(NamedTuple):
    """`images`: one an image, same order; None where time ran out before it was scored."""

    model: ServedModel
    images: Sequence[Scored | None]
    queued_ms: float  # until a worker took the first image, or until time ran out
    decode_ms: float  # of all of them
    infer_ms: float

    @property
    def complete(self) -> bool:
        return None not in self.images


class Observer:
    """Hears what the service did; this one does nothing with it."""

    def answered(self, answer: Answered) -> None:
        """From the event loop or a worker."""


Tell = Callable[[Exception | None], None]
Early = Callable[[Answered, Callable[[], None]], bool]  # the answer, what `later` takes; whether it was answered


class Service:
    """Create it anywhere; `score` belongs to an event loop, `use` and `not_ready` may be called from any thread."""

    def __init__(self, settings: ServeSettings, observer: Observer | None = None) -> None:
        self.settings = settings
        self.observer = observer or Observer()
        self.reason = "no model is loaded yet"
        self.held = 0  # bytes of the requests' images
        self._requests: set[ScoreRequest] = set()  # waiting or being scored
        self._clock = _Clock(self._look)
        self._answered: deque[Callable[[], None]] = deque()  # by workers; what the event loop has to hear of it
        self._model: ServedModel | None = None
        self._waiting: Line[ScoreRequest | None] = Line()
        self._threads = [
            threading.Thread(target=self._work, name=f"score-{number}", daemon=True)
            for number in range(settings.workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def model(self) -> ServedModel | None:
        return self._model

    @property
    def requests(self) -> int:
        """Those that wait or are being scored."""
        return len(self._requests)

    @property
    def waiting(self) -> int:
        """Requests that no worker holds right now."""
        return len(self._waiting)

    def use(self, model: ServedModel) -> None:
        """Requests from now on are for `model`; those in flight finish on the one they began with."""
        self._model, self.reason = model, ""

    def not_ready(self, reason: str) -> None:
        """There is no model to serve, and this is why."""
        self._model, self.reason = None, reason

    async def score(
        self, images: Sequence[bytes], *, seconds: float, since: float | None = None, score_threshold: Threshold = None
    ) -> Answered:
        """Score all images, or as many as `seconds` after `since` allow; cancelling it gives up what has not begun.

        `since` is a moment of the monotonic clock, now where it is left out.

        Raises: NotReadyError, BusyError; whatever the model itself raises on an image.
        """
        done = asyncio.get_running_loop().create_future()
        tell = partial(_settle, done)
        request = self.begin(images, tell, seconds=seconds, since=since, score_threshold=score_threshold)
        try:
            await done
        finally:
            self.end(request)
        return self.answered(request)

    def begin(
        self,
        images: Sequence[bytes],
        tell: Tell,
        *,
        seconds: float,
        since: float | None = None,
        score_threshold: Threshold = None,
        early: Early | None = None,
    ) -> ScoreRequest:
        """`score` for who has no coroutine: `tell` hears once, in the event loop, that there is something to be had
        from `answered`, or what the model raised. It hears nothing after `end`, which must follow whatever comes.

        `early` is asked first, in the worker, where there was one image and the model did not raise: it gets the
        answer, and either says False or hands what else it got to `later`, counts the answer and says True.

        Raises: NotReadyError, BusyError.
        """
        model = self._model
        if model is None:
            raise NotReadyError(self.reason, hint="ask /health/ready, and try again", retry_after=2)
        size = sum(map(len, images))
        self._admit(size)
        now = time.monotonic()
        ends = (now if since is None else since) + seconds
        request = ScoreRequest(model, images, tell, early if len(images) == 1 else None, now, ends, score_threshold)
        self._requests.add(request)
        self.held += size
        self._clock.wake(min(ends, now + SETTLE_SECONDS), now)
        if images:
            self._waiting.put(request)
        else:
            asyncio.get_running_loop().call_soon(request.finish)
        return request

    def end(self, request: ScoreRequest) -> None:
        """Give up what has not begun, and its place."""
        self.held -= request.give_up()
        self._requests.discard(request)

    def answered(self, request: ScoreRequest) -> Answered:
        """What was scored in time, counted."""
        answer = request.answer(request.scored)
        self.count(answer)
        return answer

    def count(self, answer: Answered) -> None:
        """Once each. From any thread."""
        self.observer.answered(answer)

    def later(self, call: Callable[[], None]) -> None:
        """In the event loop, when it is told to `settle`. From any thread."""
        self._answered.append(call)

    def settle(self) -> None:
        """Hear what the workers answered themselves; before anything that may show whether this was done."""
        while self._answered:
            call = self._answered.popleft()
            try:
                call()
            except Exception:  # whoever settles has nothing to do with it
                log.exception("an answer that a worker sent could not be settled")

    def close(self) -> None:
        """End the workers after the image that each of them is at."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    def _look(self) -> None:
        """For answers to settle, and for deadlines that passed."""
        self.settle()
        now = time.monotonic()
        try:
            for request in [each for each in self._requests if each.ends <= now]:
                request.finish()
        finally:
            ends = [each.ends for each in self._requests if each.is_open]
            if ends:
                self._clock.wake(min(*ends, now + SETTLE_SECONDS), now)

    def _admit(self, size: int) -> None:
        self.settle()
        limits = self.settings
        full = self.requests >= limits.queue
        if full or (self.requests and self.held + size > limits.max_held):
            what = f"at most {limits.queue} requests" if full else f"at most {limits.max_held // MIB} MiB of images"
            raise BusyError(
                f"expected {what} at a time, and there are as many already",
                hint="try again in a second, or use --queue",
            )

    def _work(self) -> None:
        limits, fast = self.settings.limits, self.settings.fast_jpeg
        while (request := self._waiting.get()) is not None:
            taken = request.take()
            if taken is None:
                del request  # or an old model would stay until the next one comes
                continue
            index, image, is_last = taken
            if not is_last:
                self._waiting.put(request)
            try:
                scored: Scored | Exception = score_image(
                    request.model.detector,
                    image,
                    limits=limits,
                    score_threshold=request.score_threshold,
                    fast_jpeg=fast,
                )
            except Exception as error:  # a thread's border: the request that waits for it gets it
                scored = error
            del image, taken
            try:
                request.tell(index, scored)
            except Exception:  # this thread is for all requests
                log.exception("an answer could not be told")
            del request, scored  # nothing is held while waiting for the next


class ScoreRequest:
    """One request's images on their way through the workers; `tell` hears once what came of them."""

    def __init__(
        self,
        model: ServedModel,
        images: Sequence[bytes],
        tell: Tell,
        early: Early | None,
        began: float,
        ends: float,
        score_threshold: Threshold,
    ) -> None:
        self.model, self.score_threshold, self.ends = model, score_threshold, ends
        self.scored: list[Scored | None] = [None] * len(images)
        self._images, self._next, self._left = images, 0, len(images)
        self._began, self._taken = began, 0.0
        self._loop = asyncio.get_running_loop()
        self._tell: Tell | None = tell
        self._early = early

    @property
    def is_open(self) -> bool:
        """Somebody waits for it."""
        return self._tell is not None

    def answer(self, scored: Sequence[Scored | None]) -> Answered:
        """With so much scored."""
        queued_ms = ((self._taken or time.monotonic()) - self._began) * 1000
        decode_ms = sum([each.decode_ms for each in scored if each])
        infer_ms = sum([each.infer_ms for each in scored if each])
        return Answered(self.model, scored, queued_ms, decode_ms, infer_ms)

    def give_up(self) -> int:
        """The size of what it lets go, in bytes."""
        self._tell = self._early = None
        size = sum(map(len, self._images))
        self._images = ()
        return size

    def take(self) -> tuple[int, bytes, bool] | None:
        """In the worker that holds the request: its next image, its place, whether it is the last."""
        now, images, index = time.monotonic(), self._images, self._next
        if not images or now >= self.ends:
            return None
        self._taken = self._taken or now
        self._next += 1
        return index, images[index], self._next == len(images)

    def tell(self, index: int, scored: Scored | Exception) -> None:
        """From a worker to the event loop."""
        heard = partial(self._keep, index, scored)
        early = self._early
        if early is not None and not isinstance(scored, Exception) and early(self.answer([scored]), heard):
            return
        try:
            self._loop.call_soon_threadsafe(heard)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("an answer came after the end of the server")

    def _keep(self, index: int, scored: Scored | Exception) -> None:
        if self._tell is None:
            return
        if isinstance(scored, Exception):
            self.finish(scored)
            return
        self.scored[index] = scored
        self._left -= 1
        if not self._left:
            self.finish()

    def finish(self, error: Exception | None = None) -> None:
        if self._tell is not None:
            tell, self._tell = self._tell, None
            tell(error)


class _Clock:
    """One timer for all that wait in an event loop: `call` comes at the earliest time that was asked for."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def wake(self, due: float, now: float) -> None:
        """By the monotonic clock. Another call before `due` does as well."""
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._loop is loop:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due, self._loop = due, loop
        self._timer = loop.call_later(max(0.0, due - now), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._call()


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():  # its task was cancelled, and has not come to `end` yet
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
