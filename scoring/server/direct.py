"""The way to a handler whose path has no parts to fill in: one look into a dict.

FastAPI's own way there (telemetry, two exception layers, an exit stack, one pattern a route) takes as long as the
handler of a small answer. It still answers every other path and method, and the routes are still declared with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from scoring.errors import CvaError
from scoring.server.http import PlainRoute, on_error


class Direct:
    """ASGI: `api`, whose routers these are, with a short way to its plain routes."""

    def __init__(self, api: FastAPI, routers: Sequence[APIRouter]) -> None:
        self._api: ASGIApp = api
        plain = [route for router in routers for route in router.routes if isinstance(route, PlainRoute)]
        plain = [route for route in plain if not route.param_convertors]
        self._routes = {(method, route.path): route for route in plain for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._find(scope)
        if route is None:
            await self._api(scope, receive, send)
            return
        scope["app"], scope["route"] = self._api, route
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request)
        except CvaError as error:
            response = await on_error(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> PlainRoute | None:
        return self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
