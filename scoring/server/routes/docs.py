"""The documents of the interface: /openapi.json (3.1) and /swagger.json (2.0, or the other with ?version=3)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.errors import NotFoundError
from scoring.server.document import openapi
from scoring.server.http import encode, new_router
from scoring.server.swagger import swagger

if TYPE_CHECKING:
    from scoring.server.context import Context


def router(context: Context) -> APIRouter:
    routes = new_router()
    release = version("cv-accelerator")
    three, two = encode(openapi(context.settings, release)), encode(swagger(context.settings, release))

    @routes.get("/openapi.json")
    async def full(request: Request) -> Response:
        return Response(three, media_type="application/json")

    @routes.get("/swagger.json")
    async def short(request: Request) -> Response:
        wanted = request.query_params.getlist("version") or ["2"]
        if len(wanted) > 1 or wanted[0] not in ("2", "3"):
            raise NotFoundError("expected one version, 2 or 3, found another", hint="/swagger.json?version=3")
        return Response(three if wanted[0] == "3" else two, media_type="application/json")

    return routes
