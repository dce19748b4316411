"""What the routes that score share: the body's type, its images scored in time, the answer's elements and headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.requests import Request

from scoring.errors import DeadlineError, UsageError
from scoring.scorer import Scored
from scoring.server.http import RawHeaders, Refused, body_ended, header
from scoring.server.service import Answered
from scoring.server.settings import ServeSettings
from scoring.server.waiting import unless_gone
from scoring.wire import to_element, to_error_element

if TYPE_CHECKING:
    from scoring.server.context import Context

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))


@cache
def release() -> str:
    """This package's own version."""
    return metadata.version("cv-accelerator")


def content_type(request: Request) -> str:
    return bare_type(header(request, b"content-type"))


def bare_type(content_type: str) -> str:
    """In lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def expect_type(request: Request, allowed: Sequence[str]) -> None:
    """Raises: Refused (415)."""
    if content_type(request) not in allowed:
        raise Refused(415, f"expected Content-Type {', '.join(allowed)}, found another", hint="say what the body is")


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


def expect_few_images(count: int, settings: ServeSettings) -> None:
    """Raises: Refused (413)."""
    if count > settings.max_images:
        raise Refused(
            413,
            f"expected at most {settings.max_images} images a request (max_images), found {count}",
            hint="send them in several requests, or raise --max-images",
        )


async def score_images(
    request: Request, context: Context, images: Sequence[bytes], threshold: float | None
) -> tuple[Answered, list[Scored]]:
    """All of them, or an error: too many, the queue is full, the deadline has passed, the caller left."""
    settings = context.settings
    expect_few_images(len(images), settings)
    seconds = settings.deadline_seconds
    since = body_ended(request)
    work = context.service.score(images, seconds=seconds, since=since, score_threshold=threshold)
    answered = await unless_gone(request, work)
    return answered, finished(answered, seconds)


def finished(answered: Answered, seconds: float) -> list[Scored]:
    """Raises: DeadlineError where an image was not scored in time."""
    done = [each for each in answered.images if each is not None]
    if len(done) < len(answered.images):
        raise DeadlineError(
            f"expected {len(answered.images)} images scored within {seconds:g} s, {len(done)} were",
            hint="send fewer images in one request",
        )
    return done


def elements(answered: Answered, scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """As /score says them; a bad image keeps its place and says why."""
    labels = answered.model.detector.labels
    return [_element(f"image_{number}", each, labels) for number, each in enumerate(scored)]


def _element(filename: str, scored: Scored, labels: Sequence[str]) -> dict[str, Any]:
    if scored.found is not None:
        return to_element(filename, scored.found, labels)
    assert scored.error is not None
    return to_error_element(filename, scored.error)


def model_headers(answered: Answered) -> RawHeaders:
    timing = b"decode;dur=%.1f, infer;dur=%.1f" % (answered.decode_ms, answered.infer_ms)
    return *_named(answered.model.name, answered.model.version), (b"server-timing", timing)


@lru_cache
def _named(model: str, version: str) -> RawHeaders:
    """What is not printable ASCII in a name is percent-encoded: a header holds nothing else."""
    words = ((b"x-model-name", model), (b"x-model-version", version))
    return tuple((name, quote(word, _PRINTABLE).encode()) for name, word in words)
