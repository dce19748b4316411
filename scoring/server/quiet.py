"""uvicorn's server, which sleeps while there is nothing to do. Knows nothing about what it serves.

uvicorn's own looks ten times a second whether it should end: 0.27 ms of CPU each on a machine of 2 cores, which an edge
device pays all day and a request of 50 ms half of. Here a wish to end wakes it, and a second passing, for the date.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from socket import socket

import uvicorn

DATE_SECONDS = 1.0


class Server(uvicorn.Server):
    """`told`: signals to end that came before it could hear them."""

    def __init__(self, config: uvicorn.Config, told: Sequence[int] = ()) -> None:
        self._told = told
        self._ends = False
        self._wake: Callable[[], object] | None = None
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        return self._ends

    @should_exit.setter
    def should_exit(self, ends: bool) -> None:
        """From any thread, or a signal's handler."""
        self._ends = ends
        wake = self._wake
        if wake is not None:
            wake()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit or self._told:
            await asyncio.sleep(0.1)  # who has connected is accepted, and answered
            self.should_exit = True

    async def main_loop(self) -> None:
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        self._wake = partial(loop.call_soon_threadsafe, woken.set)
        try:
            while not await self.on_tick(0):  # 0: it sets the date
                timer = loop.call_later(DATE_SECONDS, woken.set)
                await woken.wait()
                woken.clear()
                timer.cancel()
        finally:
            self._wake = None
