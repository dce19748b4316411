"""POST /image: one image in, the answer of Azure Custom Vision's prediction API out (CONTRACTS 8).

Takes what its exported containers take: the image's bytes, or a multipart form with a file field `imageData`. Their
other route, /url, is refused: this server opens no addresses.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.adapters.custom_vision import to_answer
from scoring.adapters.multipart import read_field
from scoring.errors import UsageError
from scoring.server.bodies import LARGE
from scoring.server.http import json_response, new_router, read_body
from scoring.server.routes.answering import content_type, expect_type, model_headers, score_images, threshold_of
from scoring.server.routes.score import RAW

if TYPE_CHECKING:
    from scoring.server.context import Context

FORM = "multipart/form-data"
FIELD = "imageData"


def router(context: Context) -> APIRouter:
    routes = new_router()
    formats = context.settings.limits.formats
    allowed = (*(kind for kind, image in RAW.items() if image is None or image in formats), FORM)

    @routes.post("/image")
    async def image(request: Request) -> Response:
        expect_type(request, allowed)
        threshold = threshold_of(request)
        body = await read_body(request, context)
        if content_type(request) == FORM:
            kind = request.headers["content-type"]
            apart = len(body) > LARGE  # beside the event loop
            body = await asyncio.to_thread(read_field, body, kind, FIELD) if apart else read_field(body, kind, FIELD)
        answered, [scored] = await score_images(request, context, [body], threshold)
        if scored.found is None:
            assert scored.error is not None
            raise scored.error
        model = answered.model
        answer = to_answer(
            scored.found,
            model.detector.labels,
            name=model.name,
            version=model.version,
            created=datetime.now(timezone.utc),
            answer_id=uuid.uuid4(),
        )
        return json_response(answer, 200, model_headers(answered))

    @routes.post("/url")
    async def url(request: Request) -> Response:
        raise UsageError("expected an image's bytes, found an address: this server opens none", hint="POST /image")

    return routes
