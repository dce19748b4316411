"""Waiting that something may end early: a clock, or a caller who leaves. Neither takes a task of its own for the work.

`asyncio.wait_for` and a task for each side of a race cost a small answer more than its own work does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request

T = TypeVar("T")


# In the ASGI scope, by our own protocol:
LEFT = "cva.left"  # a future that is done when the connection is lost
WHOLE = "cva.whole"  # is there when the body's last byte is: nobody waits for it


class CallerLeft(Exception):
    """The caller closed the connection: there is nobody to answer."""


class _Stop:
    """Within its block, calling it cancels the task that waits there, which then raises `reason`."""

    def __init__(self, reason: type[Exception]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._reason, self._called, self._over = task, reason, False, False

    def __call__(self, *_: object) -> None:
        if self._over:  # a future's callback that was under way already when it was taken back
            return
        self._called = True
        self._task.cancel()

    def __enter__(self) -> _Stop:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over = True
        if self._called and kind is asyncio.CancelledError:
            if hasattr(self._task, "uncancel"):  # from Python 3.11 on asyncio counts, and this one is over
                self._task.uncancel()
            raise self._reason from None


async def within(seconds: float, work: Awaitable[T]) -> T:
    """The work's result. Raises: asyncio.TimeoutError; then the work was cancelled."""
    with _Stop(asyncio.TimeoutError) as stop:
        timer = asyncio.get_running_loop().call_later(seconds, stop)
        try:
            return await work
        finally:
            timer.cancel()


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The work's result; the work is cancelled when the caller closes the connection. The body must have been read.

    Raises: CallerLeft.
    """
    told: asyncio.Future[None] | None = request.scope.get(LEFT)
    left = told or asyncio.ensure_future(_gone(request))
    with _Stop(CallerLeft) as stop:
        left.add_done_callback(stop)
        try:
            return await work
        finally:
            left.remove_done_callback(stop)
            if left is not told:
                left.cancel()


async def _gone(request: Request) -> None:
    """Under any other server: what ASGI has for it, at the price of a task."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
