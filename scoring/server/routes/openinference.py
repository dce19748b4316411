"""The routes of the Open Inference Protocol, version 2, for the one model that is served (CONTRACTS 8).

Its errors are the protocol's own: `{"error": "<text>"}`. A version in a path must be the one that is served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.adapters.open_inference import model_metadata, parse_infer, to_answer
from scoring.errors import CvaError, NotFoundError, NotReadyError
from scoring.server.http import json_response, new_router, on_error, read_parsed
from scoring.server.routes.answering import (
    elements,
    expect_type,
    model_headers,
    release,
    score_images,
    threshold_of,
)
from scoring.server.service import ServedModel, Service

if TYPE_CHECKING:
    from scoring.server.context import Context

Handler = Callable[[Request], Awaitable[Response]]
BINARY = "inference-header-content-length"


def router(context: Context) -> APIRouter:
    routes = new_router()
    service = context.service

    @routes.get("/v2")
    async def server(request: Request) -> Response:
        return json_response({"name": "cva", "version": release(), "extensions": []})

    @routes.get("/v2/health/live")
    async def live(request: Request) -> Response:
        return json_response({"live": True})

    @routes.get("/v2/health/ready")
    async def ready(request: Request) -> Response:
        if service.model is None:
            return json_response({"ready": False}, 503, [(b"retry-after", b"2")])
        return json_response({"ready": True})

    @_protocol_errors
    async def describe(request: Request) -> Response:
        model = _model(service, request)
        return json_response(model_metadata(model.name, model.version))

    @_protocol_errors
    async def model_ready(request: Request) -> Response:
        return json_response({"name": _model(service, request).name, "ready": True})

    @_protocol_errors
    async def infer(request: Request) -> Response:
        _model(service, request)
        expect_type(request, ("application/json",))
        threshold = threshold_of(request)
        parse = partial(parse_infer, binary_header=BINARY in request.headers)
        asked = await read_parsed(request, context, parse)
        answered, scored = await score_images(request, context, asked.images, threshold)
        model = answered.model
        answer = to_answer(asked, elements(answered, scored), name=model.name, version=model.version)
        return json_response(answer, 200, model_headers(answered))

    for base in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes.add_api_route(base, describe, methods=["GET"])
        routes.add_api_route(f"{base}/ready", model_ready, methods=["GET"])
        routes.add_api_route(f"{base}/infer", infer, methods=["POST"])
    return routes


def _model(service: Service, request: Request) -> ServedModel:
    """The model that the path names. Raises: NotReadyError, NotFoundError."""
    model, wanted = service.model, request.path_params
    if model is None:
        raise NotReadyError(service.reason, hint="ask /v2/health/ready, and try again", retry_after=2)
    if wanted["name"] != model.name or wanted.get("version", model.version) != model.version:
        served = f"{model.name}:{model.version}" if model.version else model.name
        raise NotFoundError(f"expected the model that is served, {served}, found another in the path", hint="ask /v2")
    return model


def _protocol_errors(handler: Handler) -> Handler:
    """The status and headers that the error has everywhere, the body that the protocol's clients read."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except CvaError as error:
            usual = await on_error(request, error)
            text = "; ".join(part for part in (error.message, error.hint) if part)
            headers = [(name, value) for name, value in usual.raw_headers if name in (b"retry-after", b"connection")]
            return json_response({"error": text}, usual.status_code, headers)

    return answer
