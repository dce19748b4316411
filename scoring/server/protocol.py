"""uvicorn's connection, and two things it leaves open: a head must be here in time, and be no larger than 64 KiB.

Without them a caller could hold connections for ever, or fill the memory, before there is a request at all. The parser
collects a field in a time that grows with the square of its length, so the limit also holds for what comes behind a
request that is being answered, and behind a body. Knows nothing about what is asked or answered.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 << 10  # bytes
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 41\r\nconnection: close\r\n\r\nexpected at most 64 KiB of header fields\n"
)


class Connection(HttpToolsProtocol):
    """`head_seconds` from a connection, or from the first byte of its next request, to the end of the head."""

    head_seconds = 30.0
    _timer: asyncio.TimerHandle | None = None
    _head = 0  # bytes since a head, a piece of a body or a request ended
    _moved = False  # one of these was in the bytes that came last

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._moved = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering:
            self._start()
        self._head = 0 if self._moved else self._head + len(data)
        if self._head > MAX_HEAD:
            if not answering:
                self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._stop()
        self._moved = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved = True
        super().on_message_complete()

    def _start(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def protocol(head_seconds: float) -> type[Connection]:
    return type("Connection", (Connection,), {"head_seconds": head_seconds})
