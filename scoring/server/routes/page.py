"""The page for people: `GET /` and the files under /page. It knows no model: it asks the API as anyone may.

`GET /` is also a health check: it says `Healthy` to all but browsers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.server.http import new_router

if TYPE_CHECKING:
    from scoring.server.context import Context

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}
# Revalidated each time: a new release's page never runs with the script of the one before.
CACHE = "no-cache"


@dataclass(frozen=True)
class Asset:
    content: bytes
    media_type: str
    etag: str


def router(context: Context) -> APIRouter:
    routes = new_router()
    assets = load_assets()
    home = assets.pop("index.html")

    @routes.get("/")
    async def root(request: Request) -> Response:
        if not prefers_html(request.headers.get("accept", "")):
            return Response("Healthy", media_type="text/plain", headers={"vary": "Accept", "cache-control": "no-store"})
        return answer(home, request, {"vary": "Accept"})

    for name, asset in assets.items():
        endpoint = partial(_asset, asset)
        routes.add_api_route(f"/page/{name}", endpoint, methods=["GET"], include_in_schema=False)
    return routes


async def _asset(asset: Asset, request: Request) -> Response:
    return answer(asset, request, {})


def load_assets() -> dict[str, Asset]:
    """All files of the page by name; some 40 kB, so they stay in memory."""
    found = {}
    for file in (resources.files("scoring.server") / "page").iterdir():
        suffix = file.name.rpartition(".")[2]
        if suffix in TYPES:
            content = file.read_bytes()
            found[file.name] = Asset(content, TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


def answer(asset: Asset, request: Request, more: dict[str, str]) -> Response:
    headers = {**HEADERS, "etag": asset.etag, "cache-control": CACHE, **more}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if asset.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


def prefers_html(accept: str) -> bool:
    """Whether text/html stands above text/plain in an Accept header; curl's */* does not prefer it."""
    return _quality(accept, "text/html") > _quality(accept, "text/plain")


def _quality(accept: str, media_type: str) -> float:
    """The weight of the most specific range that matches (RFC 9110, 12.5.1); 0 where none does."""
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    weights: dict[str, float] = {}
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        weights[name] = next((_weight(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
    return next((weights[each] for each in ranges if each in weights), 0.0)


def _weight(text: str) -> float:
    try:
        return float(text) if 0 <= float(text) <= 1 else 0.0
    except ValueError:
        return 0.0
