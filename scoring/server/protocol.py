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
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from scoring.server.gathered import Gathered
from scoring.server.waiting import LEFT, WHOLE

MAX_HEAD = 64 << 10  # bytes
MAX_WAITING = 16  # requests behind the one that is being answered
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 41\r\nconnection: close\r\n\r\nexpected at most 64 KiB of header fields\n"
)


class TooMany(Exception):
    """Out of the parser, which then reads no further."""


class Connection(HttpToolsProtocol):
    """`seconds` from a connection, or from the first byte of its next request, to the end of the head.

    As many from an answer that the system's buffers cannot hold, or from the end of the connection, until it is taken.
    """

    scope: Any  # uvicorn's own type knows the keys of ASGI alone
    _gathered: Any  # and a cycle's transport is one of asyncio's
    seconds = 30.0
    _timer: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None  # its answer waits to be read
    _running: RequestResponseCycle | None = None  # the request that is being answered; others may wait behind it
    _head = 0  # bytes since a head, a piece of a body or a request ended
    _moved = False  # one of these was in the bytes that came last

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._gathered = Gathered(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._sent()
        if self._running is not None and not self._running.response_complete:  # uvicorn tells the newest one alone
            self._running.disconnected = True
            self._running.message_event.set()
            cast(Any, self._running.scope)[LEFT].set_result(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._moved = False
        super().data_received(data)
        if self.transport.is_closing():
            self._expect_reading()
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering:
            self._start()
        self._head = 0 if self._moved else self._head + len(data)
        if self._head > MAX_HEAD:
            if not answering:
                self.transport.write(TOO_LARGE)
            self._close()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_WAITING:
            raise TooMany
        super().on_message_begin()

    def send_400_response(self, msg: str) -> None:
        """Nothing where an answer may be under way: the caller would take this for a part of it."""
        if self.pipeline:
            self._close()
        else:
            super().send_400_response(msg)

    def on_headers_complete(self) -> None:
        self._stop()
        self._moved = True
        self.scope[LEFT] = self.loop.create_future()
        super().on_headers_complete()
        self.cycle.transport = self._gathered
        if not self.pipeline:
            self._running = self.cycle

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved = True
        self.scope[WHOLE] = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._gathered.end()
        if self.pipeline:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_reading()

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


def protocol(seconds: float) -> type[Connection]:
    return type("Connection", (Connection,), {"seconds": seconds})
