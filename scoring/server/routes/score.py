"""POST /score: JSON or an image's own bytes in, one element an image out (CONTRACTS 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.scorer import Scored
from scoring.server.http import Refused, json_response, new_router, read_body, read_parsed
from scoring.server.routes.answering import content_type, elements, model_headers, score_images, threshold_of
from scoring.server.service import Answered
from scoring.wire import parse_score_request

if TYPE_CHECKING:
    from scoring.server.context import Context

RAW = {
    "application/octet-stream": None,
    "image/jpeg": "JPEG",
    "image/jpg": "JPEG",
    "image/png": "PNG",
    "image/bmp": "BMP",
    "image/x-ms-bmp": "BMP",
    "image/tiff": "TIFF",
    "image/webp": "WEBP",
}  # what the bytes are is read from them; the type only has to be one of those that may be


def router(context: Context) -> APIRouter:
    routes = new_router()
    settings = context.settings

    @routes.post("/score")
    async def score(request: Request) -> Response:
        raw = is_raw(content_type(request), settings.limits.formats)
        threshold = threshold_of(request)
        if raw:
            images = [await read_body(request, context)]
        else:
            images = await read_parsed(request, context, parse_score_request)
        answered, scored = await score_images(request, context, images, threshold)
        return answer_of(answered, scored, raw=raw)

    return routes


def answer_of(answered: Answered, scored: Sequence[Scored], *, raw: bool) -> Response:
    """Raises: what is wrong with the image, where the request was its own bytes."""
    if raw and scored[0].error is not None:
        raise scored[0].error
    return json_response(elements(answered, scored), 200, model_headers(answered))


def is_raw(kind: str, formats: tuple[str, ...]) -> bool:
    """Raises: Refused for a type that is neither JSON nor an image that may be."""
    if kind in ("application/json", "text/json") or (kind.startswith("application/") and kind.endswith("+json")):
        return False
    if kind in RAW and (RAW[kind] is None or RAW[kind] in formats):
        return True
    allowed = [name for name, image in RAW.items() if image is None or image in formats]
    raise Refused(
        415,
        f"expected Content-Type application/json, {', '.join(allowed)}, found {'none' if not kind else 'another'}",
        hint="say what the body is",
    )
