"""How much of requests' bodies is in memory, all together: counted as it arrives, given back when its request ends.

Knows nothing about HTTP. With it the server's memory is bounded, whatever is sent: `max_held` bytes of bodies, the
images decoded from them (less than as much again), one large message that is being parsed (at most about 9 times
`max_body`, which `too_many_values` sees to), and what `service.py` says of the workers.

A large body that says its size gets its whole place before it is read, or none: of eight that come at once some are
served, instead of all being given up half read. Such places are three quarters of all, so that callers who announce
much and send little leave room for the small ones.
"""

from __future__ import annotations

import asyncio

from scoring.errors import BusyError
from scoring.server.settings import MIB, ServeSettings

LARGE = MIB  # bytes of a body; above it is parsed beside the event loop
VALUES = 100  # a message has at most so many JSON values an image; one needs 3 bytes of body and 60 of memory


class Bodies:
    def __init__(self, settings: ServeSettings) -> None:
        self.most = settings.max_held
        self.held = 0  # bytes, of them
        self.promised = 0  # to large bodies
        self.values = VALUES * settings.max_images + 1000
        self.parsing = asyncio.Lock()  # one large message at a time

    def too_many_values(self, body: bytes) -> bool:
        """Counted without parsing: base64 holds none of these signs."""
        if len(body) <= self.values:
            return False
        return body.count(b",") + body.count(b"[") + body.count(b"{") > self.values

    def busy(self) -> BusyError:
        return BusyError(
            f"expected at most {self.most // MIB} MiB of requests at a time, and there is as much already",
            hint="try again in a second",
        )


class Share:
    """One request's part. `close` it when the request ends."""

    def __init__(self, bodies: Bodies, declared: int) -> None:
        """Raises: BusyError."""
        self._bodies, self._size = bodies, 0
        self._promised = declared if declared > LARGE else 0
        if bodies.promised + self._promised > bodies.most * 3 // 4 or bodies.held + self._promised > bodies.most:
            raise bodies.busy()
        self._counted = self._promised
        bodies.promised += self._promised
        bodies.held += self._promised

    def take(self, size: int) -> int:
        """So many bytes more have come; gives all of them. Raises: BusyError."""
        self._size += size
        more = max(0, self._size - self._counted)
        if more and self._bodies.held + more > self._bodies.most:
            raise self._bodies.busy()
        self._counted += more
        self._bodies.held += more
        return self._size

    def close(self) -> None:
        self._bodies.promised -= self._promised
        self._bodies.held -= self._counted
        self._promised = self._counted = 0
