"""What every route shares: reading a body within limits, answering errors, request ids.

Routes are made by `new_router`: a handler takes the Request and returns a Response, with nothing in between. Knows
nothing about models or the shapes of messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from scoring.errors import BusyError, CvaError, DeadlineError, ImageError, NotFoundError, UnavailableError, UsageError
from scoring.server.bodies import LARGE, Share
from scoring.server.settings import ServeSettings
from scoring.server.waiting import WHOLE, CallerLeft, within

if TYPE_CHECKING:
    from scoring.server.context import Context

T = TypeVar("T")
RawHeaders = Sequence[tuple[bytes, bytes]]  # names in lower case
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

REQUEST_ID = "cva.request_id"  # in the ASGI scope
ENDED = "cva.ended"  # in the ASGI scope: when the body's last byte was read
SHARE = "cva.share"  # in the ASGI scope: its part of all bodies, given back when it ends
_IMAGE_STATUS = {"image_too_large": 413, "format_not_allowed": 415}
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 408: "too_slow", 413: "too_large"}
_CODES |= {
    431: "too_large",
    415: "unsupported_media_type",
    429: "busy",
    500: "fault",
    503: "not_ready",
    504: "deadline_passed",
}
DIGITS = 20  # of a body's length; Python makes no number of thousands
_DRAIN_SECONDS = 2.0
_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Refused(CvaError):
    """A request that HTTP itself has a status for."""

    def __init__(self, status: int, message: str, *, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = dict(headers or {})


class PlainRoute(APIRoute):
    """FastAPI's documentation of a route without its reading of parameters: the handler gets the Request itself.

    What answers GET answers HEAD, too, which probes send.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if self.methods and "GET" in self.methods:
            self.methods.add("HEAD")

    def get_route_handler(self) -> Handler:
        handler: Handler = self.endpoint
        return handler


def new_router() -> APIRouter:
    return APIRouter(route_class=PlainRoute)


def request_id(request: Request) -> str:
    return str(request.scope.get(REQUEST_ID, ""))


def header(request: Request, name: bytes) -> str:
    """The first of this name (in lower case), "" where there is none."""
    headers: RawHeaders = request.scope["headers"]
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return ""


def body_ended(request: Request) -> float:
    """By the monotonic clock: what a deadline is counted from, whatever is done with the body first."""
    return float(request.scope[ENDED])


class Json(Response):
    """JSON that is bytes already, with headers that are: starlette's own takes both from text each time."""

    def __init__(self, content: bytes, status: int = 200, headers: RawHeaders = ()) -> None:
        self.body, self.status_code, self.background = content, status, None
        length = (b"content-length", b"%d" % len(content))
        self.raw_headers = [length, (b"content-type", b"application/json"), *headers]


def json_response(value: Any, status: int = 200, headers: RawHeaders = ()) -> Response:
    return Json(encode(value), status, headers)


def encode(value: Any) -> bytes:
    """JSON; half a surrogate pair, which UTF-8 has no bytes for, stays the escape that it came as."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # it knows no such halves
        return _encoder.encode(value).encode("utf-8", "backslashreplace")


def error_response(
    identity: str,
    status: int,
    message: str,
    hint: str = "",
    code: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    error = {"code": code or _CODES.get(status, "error"), "message": message, "hint": hint}
    more = [(name.encode(), text.encode()) for name, text in (headers or {}).items()]
    return json_response({"error": error, "request_id": identity}, status, more)


def fault_response(identity: str) -> Response:
    """Our own fault: the log says more, the answer does not."""
    return json_response(
        {"message": "the server failed on this request; its log says why", "request_id": identity}, 500
    )


async def on_error(request: Request, error: Exception) -> Response:
    return error_answer(request_id(request), error)


def error_answer(identity: str, error: Exception) -> Response:
    """An error of the tree as its status and body; anything that is our own fault goes on to become a 500."""
    headers: dict[str, str] = {}
    code = ""
    if isinstance(error, Refused):
        status, headers = error.status, error.headers
    elif isinstance(error, UnavailableError):
        status = 429 if isinstance(error, BusyError) else 504 if isinstance(error, DeadlineError) else 503
        headers = {} if status == 504 else {"retry-after": str(error.retry_after)}
    elif isinstance(error, ImageError):
        status, code = _IMAGE_STATUS.get(error.code, 400), error.code
    elif isinstance(error, UsageError | NotFoundError):
        status = 404 if isinstance(error, NotFoundError) else 400
    else:
        raise error
    return error_response(identity, status, error.message, error.hint, code, headers)


async def on_http_error(request: Request, error: Exception) -> Response:
    """A path or method that is not there, in the same body as every other error."""
    assert isinstance(error, HTTPException)
    hint = "see /openapi.json for what there is"
    return error_response(request_id(request), error.status_code, str(error.detail), hint, headers=error.headers)


async def read_body(request: Request, context: Context) -> bytes:
    """The whole body, before anything of it is looked at.

    Raises: Refused (413 over the limit as declared or as streamed, 408 slow, 415 compressed), BusyError.
    """
    settings = context.settings
    encoding = header(request, b"content-encoding").strip().lower()
    if encoding not in ("", "identity"):
        raise Refused(415, f"expected no Content-Encoding, found {_word(encoding)}", hint="send the bytes as they are")
    length = header(request, b"content-length") or "0"  # the protocol has checked that it is a number
    if len(length) > DIGITS:
        raise Refused(400, f"expected a Content-Length of at most {DIGITS} digits, found {len(length)}")
    declared = int(length)
    if declared > settings.max_body:
        raise await _too_large(request, f"{declared} bytes", settings, more=True)
    share = request.scope[SHARE] = Share(context.bodies, declared)
    try:
        reading = _read(request, settings, share)
        body = await (reading if WHOLE in request.scope else within(settings.read_seconds, reading))
        request.scope[ENDED] = time.monotonic()
        return body
    except asyncio.TimeoutError:
        raise too_slow(settings.read_seconds) from None


def too_slow(seconds: float) -> Refused:
    return Refused(
        408,
        f"expected the whole body within {seconds:g} s, and it was not here",
        hint="send a smaller picture, or over a faster line",
        headers={"connection": "close"},
    )


async def read_parsed(request: Request, context: Context, parse: Callable[[bytes], T]) -> T:
    """A JSON body as `parse` understands it; a large one does not hold up the other requests.

    Raises: what `read_body` and `parse` raise; Refused (413) for more values than so many images can need.
    """
    body = await read_body(request, context)
    expect_few_values(body, context)
    if len(body) <= LARGE:
        return parse(body)
    async with context.bodies.parsing:
        return await asyncio.to_thread(parse, body)


def expect_few_values(body: bytes, context: Context) -> None:
    """Raises: Refused (413)."""
    if context.bodies.too_many_values(body):
        raise Refused(
            413,
            f"expected at most {context.bodies.values} JSON values in a message of at most"
            f" {context.settings.max_images} images, found more",
            hint="send fewer images in one request, or raise --max-images",
        )


async def _read(request: Request, settings: ServeSettings, share: Share) -> bytes:
    chunks: list[bytes] = []
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        chunk, more = message.get("body", b""), message.get("more_body", False)
        if share.take(len(chunk)) > settings.max_body:
            raise await _too_large(request, f"more than {settings.max_body} bytes", settings, more=more)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _too_large(request: Request, found: str, settings: ServeSettings, *, more: bool) -> Refused:
    """Reads on for a moment, so that a caller who listens only after sending hears the answer."""
    if more and "expect" not in request.headers:
        with contextlib.suppress(asyncio.TimeoutError):
            await within(_DRAIN_SECONDS, _discard(request, settings.max_body))
    return Refused(
        413,
        f"expected a body of at most {settings.max_body} bytes (--max-body), found {found}",
        hint="send fewer or smaller pictures, or start the server with a larger --max-body",
        headers={"connection": "close"},
    )


async def _discard(request: Request, most: int) -> None:
    size, more = 0, True
    while more and size <= most:
        message = await request.receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)


def _word(text: str) -> str:
    """A header's value as it may be repeated in an answer."""
    return repr(text[:40]) if re.fullmatch(r"[\w .,;=/+*-]*", text, re.ASCII) else "something else"
