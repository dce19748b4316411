"""The outermost layer gives every request its id, counts it and logs it if asked, and turns a fault into a 500.

Pure ASGI. What it logs holds no query, no body and no key.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
import traceback
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scoring.errors import NotReadyError
from scoring.server.http import REQUEST_ID, SHARE, RawHeaders, error_answer, fault_response
from scoring.server.metrics import Metrics
from scoring.server.settings import ServeSettings
from scoring.server.waiting import CallerLeft

if TYPE_CHECKING:
    from scoring.server.lane import Lane

log = logging.getLogger("scoring.server")
access = logging.getLogger("scoring.server.access")

_SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,100}")  # it is logged
_HARMLESS = re.compile(rb"[!-~]([ -~]{0,254}[!-~])?")  # only sent back: printable ASCII, which ends no header
LEFT = 499  # in the log and the metrics: the caller was gone before the answer


class Outermost:
    """`lane` is for the connections, which may pass by here with what it takes."""

    def __init__(self, app: ASGIApp, metrics: Metrics, settings: ServeSettings, lane: Lane | None = None) -> None:
        self._app, self._metrics, self._settings = app, metrics, settings
        self.lane = lane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        own, theirs = ids(scope["headers"])
        scope[REQUEST_ID] = own.decode()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", own), *theirs]
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except CallerLeft:
            status = LEFT
        except asyncio.CancelledError:  # the server ends, and waits no longer
            if not status:
                await error_answer(scope[REQUEST_ID], _ended())(scope, receive, send_on)
        except Exception as error:
            log_fault(scope[REQUEST_ID], error, debug=self._settings.debug)
            if not status:
                await fault_response(scope[REQUEST_ID])(scope, receive, send_on)
        finally:
            seconds = time.perf_counter() - began
            self._metrics.request(_route(scope), scope["method"], status, seconds)
            if SHARE in scope:
                scope[SHARE].close()
            if self._settings.access_log:
                log_request(scope["method"], scope["path"], status, seconds, scope[REQUEST_ID])


class Faults:
    """The same border inside another layer: within CORS a browser's page can read that there was a fault."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._debug = app, settings.debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_on(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except CallerLeft:
            raise
        except Exception as error:
            log_fault(scope[REQUEST_ID], error, debug=self._debug)
            if not begun:
                await fault_response(scope[REQUEST_ID])(scope, receive, send)


def _ended() -> NotReadyError:
    return NotReadyError("the server has ended", hint="send the same again", retry_after=2)


def log_fault(identity: str, error: Exception, *, debug: bool) -> None:
    """One line with the place, or with the way to it where somebody debugs; never a traceback with its source lines."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno}" for frame in (frames if debug else frames[-1:])]
    words = "request %s failed: %s: %s (%s)"
    log.error(words, identity, type(error).__name__, error, " > ".join(places) or "nowhere")


def log_request(method: str, path: str, status: int, seconds: float, identity: str) -> None:
    path = path.encode("unicode_escape").decode()  # no line breaks of a stranger's in our log
    access.info("%s %s %d %.1f ms %s", method, path, status, seconds * 1000, identity)


def ids(headers: RawHeaders) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """This request's id, the caller's if it is sane; and the client's own id to be echoed, if a header can hold it."""
    own, theirs = b"", []
    for name, value in headers:
        if name == b"x-request-id" and _SANE.fullmatch(value):
            own = value
        elif name == b"x-ms-client-request-id" and _HARMLESS.fullmatch(value):
            theirs = [(name, value)]
    return own or b"%032x" % random.getrandbits(128), theirs


def _route(scope: Scope) -> str:
    """The route's template: paths that are not there are one, or strangers could fill the memory with names."""
    return str(getattr(scope.get("route"), "path", "") or "other")
