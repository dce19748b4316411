"""How much of requests' bodies is in memory, all together: counted as it arrives, given back when its request ends.

Knows nothing about HTTP. With it the server's memory is bounded, whatever is sent: `max_held` bytes of bodies, the
images decoded from them (less than as much again), one large message that is being parsed (at most about 9 times
`max_body`, which `too_many_values` sees to), and what `service.py` says of the workers.
"""

from __future__ import annotations

import asyncio

from scoring.errors import BusyError
from scoring.server.settings import MIB, ServeSettings

VALUES = 100  # a message has at most so many JSON values an image; one needs 3 bytes of body and 60 of memory


class Bodies:
    def __init__(self, settings: ServeSettings) -> None:
        self.most = settings.max_held
        self.held = 0
        self.values = VALUES * settings.max_images + 1000
        self.parsing = asyncio.Lock()  # one large message at a time

    def take(self, size: int) -> None:
        """Raises: BusyError."""
        if self.held + size > self.most:
            raise BusyError(
                f"expected at most {self.most // MIB} MiB of requests at a time, and there is as much already",
                hint="try again in a second",
            )
        self.held += size

    def give(self, size: int) -> None:
        self.held -= size

    def too_many_values(self, body: bytes) -> bool:
        """Counted without parsing: base64 holds none of these signs."""
        return body.count(b",") + body.count(b"[") + body.count(b"{") > self.values
