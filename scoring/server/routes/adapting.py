"""What the adapters' routes share: a body of some type, its images scored, elements as in /score."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request

from scoring.scorer import Scored
from scoring.server.http import Refused, read_body, unless_gone
from scoring.server.routes.score import LARGE, finished
from scoring.server.service import Answered
from scoring.wire import to_element, to_error_element

if TYPE_CHECKING:
    from scoring.server.app import Context

T = TypeVar("T")


@cache
def release() -> str:
    """This package's own version."""
    return version("cv-accelerator")


def content_type(request: Request) -> str:
    """In lower case, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def expect_type(request: Request, allowed: Sequence[str]) -> None:
    """Raises: Refused (415)."""
    if content_type(request) not in allowed:
        raise Refused(415, f"expected Content-Type {', '.join(allowed)}, found another", hint="say what the body is")


async def read_parsed(request: Request, context: Context, parse: Callable[[bytes], T]) -> T:
    """A large body is parsed beside the event loop, so that it does not hold up the other requests."""
    body = await read_body(request, context.settings)
    return await asyncio.to_thread(parse, body) if len(body) > LARGE else parse(body)


async def score_images(
    request: Request, context: Context, images: Sequence[bytes], threshold: float | None
) -> tuple[Answered, list[Scored]]:
    """All of them, or an error: too many, the queue is full, the deadline has passed, the caller left."""
    settings = context.settings
    if len(images) > settings.max_images:
        raise Refused(
            413,
            f"expected at most {settings.max_images} images a request (max_images), found {len(images)}",
            hint="send them in several requests, or raise --max-images",
        )
    seconds = settings.deadline_seconds
    answered = await unless_gone(request, context.service.score(images, seconds=seconds, score_threshold=threshold))
    return answered, finished(answered, seconds)


def elements(answered: Answered, scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """As /score says them; a bad image keeps its place and says why."""
    labels = answered.model.detector.labels
    return [_element(f"image_{number}", each, labels) for number, each in enumerate(scored)]


def _element(filename: str, scored: Scored, labels: Sequence[str]) -> dict[str, Any]:
    if scored.found is not None:
        return to_element(filename, scored.found, labels)
    assert scored.error is not None
    return to_error_element(filename, scored.error)
