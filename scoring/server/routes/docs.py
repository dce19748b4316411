"""The documents of the interface: /openapi.json (3.1) and /swagger.json (2.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.server.http import json_response, new_router

if TYPE_CHECKING:
    from scoring.server.app import Context


def router(context: Context) -> APIRouter:
    routes = new_router()

    @routes.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        return json_response(request.app.openapi())

    return routes
