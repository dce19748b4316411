"""uvicorn's connection, and what it leaves open: a head must be here in time, and be no larger than 64 KiB; an answer
must be taken in time; and few requests may wait behind it.

Without that a caller could hold connections for ever, or fill the memory, before there is a request at all; or hold an
answer and the request behind it by never reading: closing a connection waits for what was not sent. The parser collects
a field in a time that grows with the square of its length, so the limit also holds for what comes behind a request that
is being answered, and behind a body; and it reads all heads that came together, thousands of them, before anything else
happens. Knows nothing about what is asked or answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any, cast

from starlette.responses import Response
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from scoring.server.access_log import ids
from scoring.server.gathered import Gathered
from scoring.server.http import RawHeaders, error_response
from scoring.server.lane import URL, Lane, Passing
from scoring.server.parser import Parser, plain_head
from scoring.server.waiting import LEFT, WHOLE

MAX_HEAD = 64 << 10  # bytes
MAX_WAITING = 16  # requests behind the one that is being answered
CLOSE = (b"connection", b"close")


class TooMuch(Exception):
    """Out of the parser, which then reads no further."""


class Connection(HttpToolsProtocol):
    """`seconds` from a connection, or from the first byte of its next request, to the end of the head.

    As many from an answer that the system's buffers cannot hold, or from the end of the connection, until it is taken.
    """

    parser: Any  # ours
    cycle: Any  # uvicorn's, or what is Passing on the short way
    pipeline: Any  # of such cycles, which know their head's size
    scope: Any  # uvicorn's own type knows the keys of ASGI alone
    _gathered: Any  # and a cycle's transport is one of asyncio's
    seconds = 30.0
    _timer: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None  # its answer waits to be read
    _running: RequestResponseCycle | Passing | None = None  # is being answered; others may wait behind it
    _lane: Lane | None = None
    _socket = -1  # its number, where a worker may write there
    _receiving = False
    _large = False  # the head that was read last
    _head = 0  # bytes since a head, a piece of a body or a request ended
    _before = 0  # bytes that came with that end, and may have begun a head
    _piece = 0  # bytes that came last
    _moved = False  # one of these was in the bytes that came last

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.parser = Parser(self)
        self._gathered = Gathered(transport)
        self._lane = getattr(self.app, "lane", None)
        if os.name == "posix" and self.scheme == "http":
            self._socket = transport.get_extra_info("socket").fileno()
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()  # no worker sends from here on, when the system may give the socket's number to another
        self._stop()
        self._sent()
        if isinstance(self._running, Passing):
            if not self._running.response_complete:
                self._running.leave()
        elif self._running is not None and not self._running.response_complete:  # uvicorn tells the newest one alone
            self._running.disconnected = True
            self._running.message_event.set()
            cast(Any, self._running.scope)[LEFT].set_result(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._moved, self._receiving, self._piece = False, True, len(data)
        self._settle()
        super().data_received(data)
        self._receiving = False
        if self.transport.is_closing():
            self._expect_reading()
            return
        if not self._answering():
            self._start()
        elif isinstance(self.cycle, Passing):
            self.cycle.wait()
        if self._moved:
            self._before, self._head = self._piece, 0
        else:
            self._head += self._piece
        if self._head > MAX_HEAD:
            self._refuse_head()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_WAITING:
            raise TooMuch
        if self._answering():
            self._settle()  # the event loop has to know of an answer that another request waits for
        super().on_message_begin()

    def send_400_response(self, msg: str) -> None:
        """Behind what came whole nothing more is read, and the connection ends when that is answered."""
        self._settle()
        if self._answering() and (self.pipeline or not self.cycle.more_body):
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        elif self._large:
            self._refuse_head()
        else:
            self._refuse(
                400, "expected a request of HTTP/1.1, found something else", "check what is sent, and where to"
            )

    def on_headers_complete(self) -> None:
        if self._before + self._head + self._piece > MAX_HEAD and self._size() > MAX_HEAD:
            self._large = True
            raise TooMuch
        method = self.parser.get_method()
        if self.parser.should_upgrade() and method != b"CONNECT":
            self.parser.again = plain_head(method, self.url, self.parser.get_http_version(), self.headers)
            return
        self._stop()
        self._moved = True
        passing = self._short_way(method)
        if passing is not None:
            self.cycle = self._running = passing
            return
        self.scope[LEFT] = self.loop.create_future()
        super().on_headers_complete()
        self.cycle.transport, self.cycle.head = self._gathered, self._size()
        self.cycle.keep_alive = self.cycle.keep_alive and method != b"CONNECT"
        self.headers = []  # what is behind a body is none of its head's
        if not self.pipeline:
            self._running = self.cycle
        self._read_on()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        if isinstance(self.cycle, Passing):
            self.cycle.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.again is not None:
            return
        self._moved = True
        if isinstance(self.cycle, Passing):
            self.cycle.start()
        else:
            self.scope[WHOLE] = True
            super().on_message_complete()
            self._read_on()

    def on_response_complete(self) -> None:
        self._gathered.end()
        if self.pipeline:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_reading()

    def _short_way(self, method: bytes) -> Passing | None:
        """For a request that it takes, while no other is being answered here and the last answer was read."""
        if self._lane is None or self.url != URL or method != b"POST":
            return None
        if self.parser.get_http_version() != "1.1" or not self.parser.should_keep_alive():
            return None
        if self.flow.write_paused or not (self.cycle is None or self.cycle.response_complete):
            return None
        return self._lane.open(self.headers, self)

    def _read_on(self) -> None:
        """A large last piece pauses reading, and so does a request behind another; a caller who leaves must be seen."""
        behind = sum([len(cycle.body) + cycle.head for cycle, _ in self.pipeline])
        if behind <= HIGH_WATER_LIMIT and len(self.pipeline) < MAX_WAITING:
            self.flow.resume_reading()

    def _size(self) -> int:
        """Of the head that was read last, in bytes."""
        return len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])

    def _refuse_head(self) -> None:
        if self._answering():
            self._close()
        else:
            hint = "send fewer or shorter header fields"
            self._refuse(431, f"expected at most {MAX_HEAD >> 10} KiB of header fields, found more", hint)

    def _refuse(self, status: int, message: str, hint: str) -> None:
        """What is no request that anybody could answer."""
        own, _ = ids(())
        response = error_response(own.decode(), status, message, hint)
        self.transport.write(self.encoded(response, ((b"x-request-id", own), CLOSE)))
        self._close()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _settle(self) -> None:
        """Before anything else: what a worker sent is over, and while this goes on none sends here."""
        if self._lane is not None:
            if isinstance(self.cycle, Passing):
                self.cycle.take_over()
            self._lane.settle()

    def answer(self, response: Response, more: RawHeaders) -> None:
        """What uvicorn's cycle does with one, in one write."""
        assert self._running is not None
        headers = [*self.server_state.default_headers, *response.raw_headers, *more]
        if not self._running.keep_alive and CLOSE not in headers:
            headers.append(CLOSE)
        if not self.transport.is_closing():
            self.transport.write(_bytes(response, headers))
        if CLOSE in headers:
            self.transport.close()
        self.on_response_complete()

    def ready(self) -> bool:
        return self._socket >= 0 and not (self.transport.is_closing() or self.transport.get_write_buffer_size())

    def encoded(self, response: Response, more: RawHeaders) -> bytes:
        return _bytes(response, [*self.server_state.default_headers, *response.raw_headers, *more])

    def send(self, data: bytes) -> bytes:
        try:
            rest = data[os.write(self._socket, data) :]
        except BlockingIOError:
            rest = data
        except OSError:
            self._from_worker(self.transport.abort)
            return b""
        if rest:
            self._from_worker(self._settle)
        return rest

    def _from_worker(self, call: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(call)

    def sent(self, rest: bytes) -> None:
        if rest and not self.transport.is_closing():
            self.transport.write(rest)
        if self._receiving and not self.pipeline:  # what uvicorn does, without a timer until what was received
            self.server_state.total_requests += 1
        else:
            self.on_response_complete()

    def shutdown(self) -> None:
        self._settle()
        super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._sent()

    def _close(self) -> None:
        self.transport.close()
        self._expect_reading()

    def _expect_reading(self) -> None:
        if self._sending is None and self in self.connections:  # which it is until it is lost
            self._sending = self.loop.call_later(self.seconds, self.transport.abort)

    def _sent(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _start(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _bytes(response: Response, headers: RawHeaders) -> bytes:
    lines = [STATUS_LINE[response.status_code]]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    return b"".join((*lines, b"\r\n", response.body))


def protocol(seconds: float) -> type[Connection]:
    return type("Connection", (Connection,), {"seconds": seconds})
