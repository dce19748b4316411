"""Whether the server lives and is ready, what it serves, and its numbers. Answered by the event loop, never queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from scoring.errors import NotReadyError
from scoring.server.http import json_response, new_router
from scoring.server.service import ServedModel

if TYPE_CHECKING:
    from scoring.server.context import Context
    from scoring.server.settings import ServeSettings


def router(context: Context) -> APIRouter:
    routes = new_router()
    service = context.service

    @routes.get("/health/live")
    async def live(request: Request) -> Response:
        return json_response({"status": "live"})

    @routes.get("/health/ready")
    async def ready(request: Request) -> Response:
        return _ready(service.model, service.reason)

    @routes.get("/api/healthcheck")
    async def healthcheck(request: Request) -> Response:
        return _ready(service.model, service.reason)

    @routes.get("/metadata")
    async def metadata(request: Request) -> Response:
        if service.model is None:
            raise NotReadyError(service.reason, hint="ask /health/ready, and try again", retry_after=2)
        return json_response(
            {**describe(service.model), "limits": limits(context.settings), "reload": context.reloads()}
        )

    @routes.get("/metrics")
    async def metrics(request: Request) -> Response:
        return Response(context.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes


def describe(model: ServedModel) -> dict[str, Any]:
    manifest = model.detector.bundle.manifest
    threshold = manifest.postprocess.to_json()["score_threshold"]
    return {
        "name": model.name,
        "version": model.version,
        "manifest_sha256": model.manifest_sha256,
        "loaded_at": model.loaded_at,
        "task": manifest.task,
        "algorithm": manifest.raw.get("algorithm"),
        "labels": list(manifest.labels),
        "thresholds": {"score": threshold, "iou": manifest.postprocess.iou},
        "max_boxes": manifest.postprocess.max_boxes,
        "input_size": list(manifest.preprocess.size),
        "metrics": manifest.raw.get("metrics", {}),
    }


def limits(settings: ServeSettings) -> dict[str, Any]:
    return {
        "max_body_bytes": settings.max_body,
        "max_images": settings.max_images,
        "max_image_bytes": settings.limits.max_bytes,
        "max_image_pixels": settings.limits.max_pixels,
        "image_formats": list(settings.limits.formats),
        "queue": settings.queue,
        "deadline_seconds": settings.deadline_seconds,
        "read_seconds": settings.read_seconds,
        "skill_seconds": settings.skill_seconds,
    }


def _ready(model: ServedModel | None, reason: str) -> Response:
    if model is None:
        return json_response({"status": "not ready", "reason": reason}, 503, [(b"retry-after", b"2")])
    return json_response({"status": "ready", "model": model.name, "version": model.version})
