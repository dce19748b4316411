"""POST /invocations, GET /ping, GET /version: the routes of MLflow's scoring server (CONTRACTS 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.adapters.invocations import parse_invocations, to_answer
from scoring.errors import NotReadyError
from scoring.server.http import json_response, new_router, read_parsed
from scoring.server.routes.answering import (
    elements,
    expect_type,
    model_headers,
    release,
    score_images,
    threshold_of,
)

if TYPE_CHECKING:
    from scoring.server.context import Context


def router(context: Context) -> APIRouter:
    routes = new_router()
    service = context.service

    @routes.post("/invocations")
    async def invocations(request: Request) -> Response:
        expect_type(request, ("application/json",))
        threshold = threshold_of(request)
        images = await read_parsed(request, context, parse_invocations)
        answered, scored = await score_images(request, context, images, threshold)
        return json_response(to_answer(elements(answered, scored)), 200, model_headers(answered))

    @routes.get("/ping")
    async def ping(request: Request) -> Response:
        if service.model is None:
            raise NotReadyError(service.reason, hint="ask again", retry_after=2)
        return Response("\n", media_type="application/json")

    @routes.get("/version")
    async def version(request: Request) -> Response:
        return Response(release(), media_type="text/plain")

    return routes
