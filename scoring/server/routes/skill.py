"""POST /skill (or /api/extraction): a batch of Search's custom skill, or the one object of its AML skill (CONTRACTS 9).

Search tries again after 502, 503 and 429 alone, so a batch that takes too long is answered: finished records with their
data, the others with an error.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.search.skill import MAX_RECORDS, SkillRequest, parse_skill_request, render, to_answer
from scoring.server.http import Json, Refused, body_ended, new_router, read_parsed
from scoring.server.routes.answering import expect_type, model_headers
from scoring.server.service import Answered
from scoring.server.waiting import unless_gone

if TYPE_CHECKING:
    from scoring.server.context import Context


def router(context: Context) -> APIRouter:
    routes = new_router()
    settings, service = context.settings, context.service

    @routes.post("/skill")
    @routes.post("/api/extraction")
    async def skill(request: Request) -> Response:
        expect_type(request, ("application/json", "text/json"))
        batch = await read_parsed(request, context, parse_skill_request)
        _expect_at_most(batch.sent, MAX_RECORDS, "records", "lower the skill's batchSize")
        _expect_at_most(len(batch.images), settings.max_images, "images", "lower the skill's batchSize (max_images)")
        since = body_ended(request)
        answered = await unless_gone(request, service.score(batch.images, seconds=settings.skill_seconds, since=since))
        content = await asyncio.to_thread(_content, batch, answered, settings.skill_seconds)
        return Json(content, 200, model_headers(answered))

    return routes


def _content(batch: SkillRequest, answered: Answered, seconds: float) -> bytes:
    return render(to_answer(batch, answered.images, answered.model.detector.labels, seconds=seconds))


def _expect_at_most(found: int, most: int, what: str, hint: str) -> None:
    if found > most:
        raise Refused(413, f"expected at most {most} {what} a request, found {found}", hint=hint)
