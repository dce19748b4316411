"""POST /score: JSON or an image's own bytes in, one element an image out (CONTRACTS 8)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.errors import DeadlineError, UsageError
from scoring.scorer import Scored
from scoring.server.http import LARGE as LARGE
from scoring.server.http import Refused, encode, new_router, read_body, read_parsed, unless_gone
from scoring.server.service import Answered
from scoring.wire import parse_score_request, to_element, to_error_element

if TYPE_CHECKING:
    from scoring.server.app import Context

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
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))


def router(context: Context) -> APIRouter:
    routes = new_router()
    settings, service = context.settings, context.service

    @routes.post("/score")
    async def score(request: Request) -> Response:
        raw = _is_raw(request, settings.limits.formats)
        threshold = threshold_of(request)
        if raw:
            images = [await read_body(request, settings)]
        else:
            images = await read_parsed(request, settings, parse_score_request)
        if len(images) > settings.max_images:
            raise Refused(
                413,
                f"expected at most {settings.max_images} images a request (max_images), found {len(images)}",
                hint="send them in several requests, or raise --max-images",
            )
        answered = await unless_gone(
            request, service.score(images, seconds=settings.deadline_seconds, score_threshold=threshold)
        )
        scored = finished(answered, settings.deadline_seconds)
        if raw and scored[0].error is not None:
            raise scored[0].error
        return Response(encode(_elements(answered)), 200, model_headers(answered), media_type="application/json")

    return routes


def threshold_of(request: Request) -> float | None:
    """`?threshold=0.4`. Raises: UsageError."""
    if not request.scope["query_string"]:
        return None
    given = request.query_params.getlist("threshold")
    if not given:
        return None
    if len(given) > 1 or not _NUMBER.fullmatch(given[0]) or not 0 <= (value := float(given[0])) <= 1:
        raise UsageError("expected one threshold from 0 to 1, found something else", hint="for example ?threshold=0.4")
    return value


def finished(answered: Answered, seconds: float) -> list[Scored]:
    """Raises: DeadlineError where an image was not scored in time."""
    done = [each for each in answered.images if each is not None]
    if len(done) < len(answered.images):
        raise DeadlineError(
            f"expected {len(answered.images)} images scored within {seconds:g} s, {len(done)} were",
            hint="send fewer images in one request",
        )
    return done


def model_headers(answered: Answered) -> dict[str, str]:
    """What is not printable ASCII in a name is percent-encoded: a header holds nothing else."""
    timing = f"decode;dur={answered.decode_ms:.1f}, infer;dur={answered.infer_ms:.1f}"
    name, version = quote(answered.model.name, _PRINTABLE), quote(answered.model.version, _PRINTABLE)
    return {"x-model-name": name, "x-model-version": version, "server-timing": timing}


def _elements(answered: Answered) -> list[dict[str, Any]]:
    labels = answered.model.detector.labels
    return [_element(f"image_{at}", each, labels) for at, each in enumerate(answered.images) if each is not None]


def _element(filename: str, scored: Scored, labels: tuple[str, ...]) -> dict[str, Any]:
    if scored.found is not None:
        return to_element(filename, scored.found, labels)
    assert scored.error is not None
    return to_error_element(filename, scored.error)


def _is_raw(request: Request, formats: tuple[str, ...]) -> bool:
    """Raises: Refused for a type that is neither JSON nor an image that may be."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
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
