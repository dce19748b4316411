"""The short way for /score: from the connection to the workers and back by callbacks, without a task and ASGI's layers.

With them the event loop took 1.5 ms a request, without 0.9, and half of that where the worker sends the answer of a
request of one image (decision 0009). A head that is plain goes this way: POST /score, an image's bytes or a small JSON
body of a known length, a key where one is needed. Everything else goes the usual way, and what is answered comes from
the same parts.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from starlette.responses import Response

from scoring.errors import CvaError
from scoring.server.access_log import LEFT, ids, log_fault, log_request
from scoring.server.bodies import LARGE, Share
from scoring.server.context import Context
from scoring.server.http import DIGITS, RawHeaders, error_answer, expect_few_values, fault_response, too_slow
from scoring.server.routes.answering import bare_type, expect_few_images, finished
from scoring.server.routes.score import answer_of, is_raw
from scoring.server.service import Answered, ScoreRequest
from scoring.wire import parse_score_request

URL = b"/score"
UNUSUAL = frozenset({b"content-encoding", b"transfer-encoding", b"expect", b"upgrade"})


class Channel(Protocol):
    """What this way needs of a connection. `more` is what the head of an answer also says."""

    def answer(self, response: Response, more: RawHeaders) -> None: ...

    def ready(self) -> bool:
        """From any thread: an answer may be sent past the event loop."""

    def encoded(self, response: Response, more: RawHeaders) -> bytes:
        """From any thread: the whole answer."""

    def send(self, data: bytes) -> bytes:
        """From any thread: what the system did not take of it, for which the event loop is woken. Does not wait."""

    def sent(self, rest: bytes) -> None:
        """In the event loop, after `send` and once: send the rest, and go on."""


class Lane:
    """`shown` says whether a head shows a key, where one is needed."""

    def __init__(self, context: Context, shown: Callable[[RawHeaders], bool]) -> None:
        self._context, self._shown = context, shown

    def settle(self) -> None:
        """Finish what workers have answered."""
        self._context.service.settle()

    def open(self, headers: RawHeaders, line: Channel) -> Passing | None:
        """For the head of a POST to URL whose body is yet to come; None where it has to go the usual way."""
        kind, declared = b"", b""
        for name, value in headers:
            if name == b"content-type":
                kind = kind or value
            elif name == b"content-length":
                declared = value
            elif name in UNUSUAL:
                return None
        if not declared.isdigit() or len(declared) > DIGITS:
            return None
        if int(declared) > min(LARGE, self._context.settings.max_body):
            return None
        if not self._shown(headers):
            return None
        try:
            raw = is_raw(bare_type(kind.decode("latin-1")), self._context.settings.limits.formats)
            return Passing(self._context, headers, raw, Share(self._context.bodies, int(declared)), line)
        except CvaError:
            return None


class _Nothing:
    def set(self) -> None: ...


class _Sent(NamedTuple):
    status: int
    seconds: float
    rest: bytes


class Passing:
    """One request on this way. To uvicorn's connection it is a cycle, which others may have to wait for.

    The worker or the event loop answers, never both: which of them is settled under a lock that is held while a worker
    sends. All that follows an answer is the event loop's.
    """

    response_complete = False
    keep_alive = True
    more_body = True
    message_event = _Nothing()

    def __init__(self, context: Context, headers: RawHeaders, raw: bool, share: Share, line: Channel) -> None:
        self._context, self._raw, self._share = context, raw, share
        self._line: Channel | None = line
        self._own, self._theirs = ids(headers)
        self._began = time.perf_counter()
        self._pieces: list[bytes] = []
        self._request: ScoreRequest | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()
        self._may_send = True  # the worker
        self._sent: _Sent | None = None  # by the worker

    def add(self, piece: bytes) -> None:
        """Of the body; what comes after an answer that was given without it is for nobody."""
        if self.response_complete:
            return
        try:
            self._share.take(len(piece))
            self._pieces.append(piece)
        except CvaError as error:
            self._refuse(error)

    def wait(self) -> None:
        """There is more to come of the body, in time or never."""
        if self._timer is None and self._request is None and not self.response_complete:
            seconds = self._context.settings.read_seconds
            self._timer = asyncio.get_running_loop().call_later(seconds, lambda: self._refuse(too_slow(seconds)))

    def start(self) -> None:
        """The body is whole."""
        self.more_body = False
        self._stop()
        if self.response_complete:
            return
        settings, body, ended = self._context.settings, b"".join(self._pieces), time.monotonic()
        self._pieces.clear()
        try:
            if not self._raw:
                expect_few_values(body, self._context)
            images = [body] if self._raw else parse_score_request(body)
            expect_few_images(len(images), settings)
            begin = self._context.service.begin
            seconds = settings.deadline_seconds
            self._request = begin(images, self._scored, seconds=seconds, since=ended, early=self._early)
        except Exception as error:  # the border: nothing of an exception may reach the caller
            self._refuse(error)

    def take_over(self) -> None:
        """From now on the event loop answers; where the worker already did, `Lane.settle` will say so."""
        if self._request is not None:
            with self._lock:
                self._may_send = False

    def leave(self) -> None:
        """The caller is gone, and the worker has not answered."""
        self._stop()
        self.take_over()
        self.response_complete = True
        if self._request is not None:
            self._context.service.end(self._request)
        self._end(LEFT, self._seconds())

    def _early(self, answered: Answered, heard: Callable[[], None]) -> bool:
        """In the worker. What may be seen of an answer is done before it is sent; refusals are the event loop's."""
        service, line = self._context.service, self._line
        if line is None:
            return False
        try:
            scored = finished(answered, self._context.settings.deadline_seconds)
            response = answer_of(answered, scored, raw=self._raw)
            data = line.encoded(response, self._more())
        except Exception:  # the event loop meets it again, and answers it
            return False
        with self._lock:
            if not self._may_send or not self.keep_alive or not line.ready():
                return False
            service.count(answered)
            service.later(heard)
            seconds = self._seconds()
            self._sent = _Sent(response.status_code, seconds, line.send(data))
        return True

    def _scored(self, error: Exception | None) -> None:
        assert self._request is not None
        self.take_over()
        self._context.service.end(self._request)
        if self._sent is not None:
            self._go_on(self._sent)
            return
        try:
            if error is not None:
                raise error
            answered = self._context.service.answered(self._request)
            scored = finished(answered, self._context.settings.deadline_seconds)
            response = answer_of(answered, scored, raw=self._raw)
        except Exception as problem:
            self._refuse(problem)
        else:
            self._tell(response)

    def _refuse(self, error: Exception) -> None:
        self._stop()
        identity = self._own.decode()
        try:
            self._tell(error_answer(identity, error))
        except Exception as fault:
            log_fault(identity, fault, debug=self._context.settings.debug)
            self._tell(fault_response(identity))

    def _tell(self, response: Response) -> None:
        if self._line is not None and not self.response_complete:
            self.response_complete = True
            self._line.answer(response, self._more())
            self._end(response.status_code, self._seconds())

    def _go_on(self, sent: _Sent) -> None:
        if self._line is not None and not self.response_complete:
            self.response_complete = True
            self._line.sent(sent.rest)
            self._end(sent.status, sent.seconds)

    def _more(self) -> RawHeaders:
        return ((b"x-request-id", self._own), *self._theirs)

    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    def _end(self, status: int, seconds: float) -> None:
        self._line = self._request = self._sent = None  # the connection keeps its last cycle, but not an old model
        self._pieces.clear()
        self._share.close()
        path = URL.decode()
        self._context.metrics.request(path, "POST", status, seconds)
        if self._context.settings.access_log:
            log_request("POST", path, status, seconds, self._own.decode())

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
