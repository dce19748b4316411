"""Waiting that a clock or a caller ends: which of them it was, and what becomes of the work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request

from scoring.server.waiting import LEFT, CallerLeft, unless_gone, within


class Work:
    """Waits until it is let go, and remembers whether it was cancelled."""

    def __init__(self) -> None:
        self.go, self.cancelled = asyncio.Event(), False

    async def __call__(self) -> str:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return "done"


def asked(receive: Callable[[], Awaitable[Any]] | None = None, **scope: Any) -> Request:
    async def never() -> Any:
        await asyncio.Event().wait()

    return Request({"type": "http", **scope}, receive or never)


def counted() -> int:
    """How often this task has been cancelled, where Python counts it."""
    return getattr(asyncio.current_task(), "cancelling", int)()


def test_work_that_ends_in_time_is_its_result() -> None:
    async def main() -> None:
        work = Work()
        work.go.set()
        assert await within(30, work()) == await unless_gone(asked(), work()) == "done"
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        assert await unless_gone(asked(**{LEFT: left}), work()) == "done"
        left.set_result(None)  # afterwards it is nobody's concern
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize("first", ["work", "caller"])
def test_a_caller_who_leaves_as_the_work_ends_stops_nothing_behind_it(first: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left: asyncio.Future[None] = loop.create_future()
        done: asyncio.Future[str] = loop.create_future()

        async def work() -> str:
            return await done

        async def handler() -> str:
            answer = await unless_gone(asked(**{LEFT: left}), work())
            await asyncio.sleep(0.01)
            return answer

        ends = [lambda: done.set_result("done"), lambda: left.set_result(None)]
        task = asyncio.create_task(handler())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for end in ends if first == "work" else ends[::-1]:
            end()
        if first == "work":
            assert await task == "done"
        else:
            with pytest.raises(CallerLeft):
                await task

    asyncio.run(main())


def test_time_runs_out() -> None:
    async def main() -> None:
        work = Work()
        with pytest.raises(asyncio.TimeoutError):
            await within(0.01, work())
        assert (work.cancelled, counted()) == (True, 0)
        await asyncio.sleep(0)  # nothing is left behind that cancels this task again

    asyncio.run(main())


@pytest.mark.parametrize("own", [True, False], ids=["our protocol", "any ASGI server"])
def test_the_caller_leaves(own: bool) -> None:
    async def main() -> None:
        work, left = Work(), asyncio.get_running_loop().create_future()
        told = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

        async def receive() -> Any:
            return next(told)

        request = asked(**{LEFT: left}) if own else asked(receive)
        asyncio.get_running_loop().call_later(0.01, left.set_result, None)
        with pytest.raises(CallerLeft):
            await unless_gone(request, work())
        assert (work.cancelled, counted()) == (True, 0)
        await asyncio.sleep(0.02)

    asyncio.run(main())


def test_a_caller_who_left_before_is_noticed() -> None:
    async def main() -> None:
        left = asyncio.get_running_loop().create_future()
        left.set_result(None)
        with pytest.raises(CallerLeft):
            await unless_gone(asked(**{LEFT: left}), Work()())

    asyncio.run(main())


@pytest.mark.parametrize("wait", [lambda work: within(30, work), lambda work: unless_gone(asked(), work)])
def test_being_cancelled_oneself_is_neither(wait: Callable[[Awaitable[str]], Awaitable[str]]) -> None:
    async def main() -> None:
        work = Work()
        task = asyncio.ensure_future(wait(work()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert work.cancelled
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.sleep(0)
        assert all(each.done() for each in others)

    asyncio.run(main())


@pytest.mark.parametrize("wait", [lambda work: within(30, work), lambda work: unless_gone(asked(), work)])
def test_what_the_work_raises_is_raised(wait: Callable[[Awaitable[str]], Awaitable[str]]) -> None:
    async def fails() -> str:
        raise ValueError("its own")

    async def main() -> None:
        with pytest.raises(ValueError, match="its own"):
            await wait(fails())

    asyncio.run(main())
