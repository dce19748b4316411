"""An answer's head and the first of its body in one write: its reader is woken once, not for a head alone.

For uvicorn's cycle this is the connection's transport. Knows nothing about what is answered.
"""

from __future__ import annotations

import asyncio

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # uvicorn's words, which no answer follows yet


class Gathered:
    """Holds the first write of each answer until the next one, its `end` or the connection's."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head, self._begun = b"", False

    def write(self, data: bytes) -> None:
        if self._begun or data == CONTINUE:
            self._transport.write(self._head + data if self._head else data)
            self._head = b""
        else:
            self._head, self._begun = data, True

    def end(self) -> None:
        """The answer is whole: it may have had no body."""
        if self._head:
            self._transport.write(self._head)
        self._head, self._begun = b"", False

    def close(self) -> None:
        self.end()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()
