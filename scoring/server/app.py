"""The application: routes and the layers around them. Reads like a list; each part is in a file of its own."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from scoring.errors import CvaError
from scoring.server.access_log import Faults, Outermost
from scoring.server.bodies import Bodies
from scoring.server.context import Context
from scoring.server.http import on_error, on_http_error
from scoring.server.keys import KeyRing, Locked
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


def create_app(context: Context) -> FastAPI:
    """Raises: NotFoundError, StorageError, UsageError for a keys file that cannot be used."""
    settings = context.settings
    app = FastAPI(title="cva serve", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.bodies = Bodies(settings)
    app.add_exception_handler(CvaError, on_error)
    app.add_exception_handler(HTTPException, on_http_error)
    for router in ROUTERS:
        app.include_router(router(context))
    _wrap(app, context)
    return app


def _wrap(app: FastAPI, context: Context) -> None:
    """From the inside out: keys, faults, CORS (a preflight shows no key), then ids, counting and the last resort."""
    settings = context.settings
    if settings.locked:
        app.add_middleware(Locked, keys=KeyRing(settings).current)
    if settings.cors_origins:
        app.add_middleware(Faults, settings=settings)
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=list(EXPOSED),
            max_age=600,
        )
    app.add_middleware(Outermost, metrics=context.metrics, settings=settings)
