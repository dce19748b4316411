"""The application: routes and the layers around them. Reads like a list; each part is in a file of its own."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from scoring.errors import CvaError
from scoring.server.access_log import Faults, Outermost
from scoring.server.context import Context
from scoring.server.direct import Direct
from scoring.server.http import on_error, on_http_error
from scoring.server.keys import KeyRing, Locked
from scoring.server.lane import Lane
from scoring.server.routes import docs, health, invocations, openinference, page, score, skill, vision

EXPOSED = ("x-request-id", "x-ms-client-request-id", "x-model-name", "x-model-version", "server-timing", "retry-after")


ROUTERS: tuple[Callable[[Context], APIRouter], ...] = (
    score.router,
    skill.router,
    health.router,
    vision.router,
    openinference.router,
    invocations.router,
    page.router,
    docs.router,
)


def create_app(context: Context) -> Outermost:
    """Raises: NotFoundError, StorageError, UsageError for a keys file that cannot be used."""
    routers = [make(context) for make in ROUTERS]
    api = FastAPI(title="cva serve", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    api.add_exception_handler(CvaError, on_error)
    api.add_exception_handler(HTTPException, on_http_error)
    api.add_middleware(Faults, settings=context.settings)  # FastAPI's own layer around it has another answer
    for router in routers:
        api.include_router(router)
    return _wrapped(Direct(api, routers), context)


def _wrapped(app: ASGIApp, context: Context) -> Outermost:
    """From the inside out: keys, faults, CORS (a preflight shows no key), then ids, counting and the last resort.

    The short way passes by all of these; what another origin's page may read is not known there.
    """
    settings = context.settings
    lane: Lane | None = Lane(context, shown=lambda headers: True)
    if settings.locked:
        app = locked = Locked(app, keys=KeyRing(settings).current)
        lane = Lane(context, shown=locked.shown)
    if settings.cors_origins:
        lane = None
        app = CORSMiddleware(
            Faults(app, settings),
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=list(EXPOSED),
            max_age=600,
        )
    return Outermost(app, context.metrics, settings, lane)
