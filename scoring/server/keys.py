"""Who may call: a key in one of three headers, checked before a byte of the body is read.

Everything is locked but what is listed here. Health answers machines that hold no key, the page and the documents of
the interface are the same for everyone and name no model; /metadata and /metrics tell about the model and its use, so
they are locked (Prometheus sends a key with `authorization: credentials_file`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from scoring.errors import CvaError
from scoring.keys import bearer, load_keys, matches
from scoring.server.http import REQUEST_ID, json_response
from scoring.server.settings import ServeSettings

log = logging.getLogger(__name__)

HEALTH = ("/", "/health/live", "/health/ready", "/api/healthcheck", "/v2/health/live", "/v2/health/ready", "/ping")
OPEN = frozenset({*HEALTH, "/openapi.json", "/swagger.json", "/favicon.ico"})
OPEN_BELOW = "/page/"
HEADERS = (b"x-api-key", b"ocp-apim-subscription-key")


class KeyRing:
    """The keys that are good now; a file is read again when it changes, and a broken one changes nothing."""

    def __init__(self, settings: ServeSettings) -> None:
        """Raises: NotFoundError, StorageError, UsageError."""
        self._file = settings.keys_file
        self._stamp = _stamp(self._file)
        self._keys = load_keys(self._file) if self._file else settings.keys

    def current(self) -> tuple[bytes, ...]:
        stamp = _stamp(self._file)
        if self._file is not None and stamp != self._stamp:
            self._stamp = stamp
            try:
                self._keys = load_keys(self._file)
                log.info("the keys were read again: there are %d", len(self._keys))
            except CvaError as error:
                log.warning("the keys stay as they were: %s", error.message)
        return self._keys


class Locked:
    """ASGI middleware: 401 unless a key of the ring is shown, but for what is open to all."""

    def __init__(self, app: ASGIApp, keys: Callable[[], tuple[bytes, ...]]) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]) or self.shown(scope["headers"]):
            await self._app(scope, receive, send)
            return
        error = {
            "code": "unauthorized",
            "message": "expected one of this server's keys, found none that it knows",
            "hint": "send it as x-api-key, Ocp-Apim-Subscription-Key or Authorization: Bearer",
        }
        body = {"error": error, "request_id": scope.get(REQUEST_ID, "")}
        await json_response(body, 401, [(b"www-authenticate", b"Bearer")])(scope, receive, send)

    def shown(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """One of the keys that are good now."""
        keys = self._keys()
        return any([matches(key, keys) for key in _candidates(headers)])


def is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_BELOW)


def _candidates(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    found = []
    for name, value in headers:
        if name in HEADERS:
            found.append(value)
        elif name == b"authorization":
            found.append(bearer(value))
    return found


def _stamp(path: Path | None) -> tuple[int, ...]:
    if path is None:
        return ()
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode
