"""The whole interface as OpenAPI 3.1: every route, what it takes, every status that can come. Pure data.

A test holds it against the application's routes, another sends what it allows and forbids.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scoring.server import shapes
from scoring.server.keys import is_open
from scoring.server.routes.score import RAW
from scoring.server.settings import ServeSettings

Json = dict[str, Any]

WORDS = {
    400: "not what the route takes: the message says what was expected",
    401: "no key, or not one of this server's",
    404: "not what is served here",
    408: "the body was not here in time",
    413: "over a limit: the message says which, and what was found",
    415: "a type, encoding or image format that is not allowed",
    429: "the queue is full; try again after Retry-After seconds",
    500: "our own fault; the log says why under this id",
    503: "no model is loaded; try again after Retry-After seconds",
    504: "the deadline passed before every image was scored",
}
SCORING = (400, 408, 413, 415, 429, 503, 504)
SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "SubscriptionKey": {"type": "apiKey", "in": "header", "name": "Ocp-Apim-Subscription-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}
THRESHOLD = {
    "name": "threshold",
    "in": "query",
    "description": "lowest score of a box; the model's own where it is left out",
    "schema": shapes.FRACTION,
}
MODEL_HEADERS = {
    name: {"schema": shapes.TEXT, "required": True, "description": words}
    for name, words in {
        "x-model-name": "the model that answered",
        "x-model-version": "its version, empty where it has none",
        "server-timing": "milliseconds, for example decode;dur=7.7, infer;dur=18.1",
    }.items()
}
REQUEST_ID = {"x-request-id": {"schema": shapes.TEXT, "description": "as sent, if it is sane, else made here"}}
RETRY = {"retry-after": {"schema": shapes.TEXT, "required": True, "description": "seconds"}}


def openapi(settings: ServeSettings, version: str) -> Json:
    paths = _paths(settings)
    for path, operations in paths.items():
        for operation in operations.values():
            _finish(operation, locked=settings.locked and not is_open(path))
    document: Json = {
        "openapi": "3.1.0",
        "info": {"title": "cva serve", "version": version, "description": "Images in, the objects in them out."},
        "paths": paths,
        "components": {"schemas": shapes.ALL},
    }
    if settings.locked:
        document["components"]["securitySchemes"] = SCHEMES
    return document


def _paths(settings: ServeSettings) -> dict[str, Json]:
    formats = settings.limits.formats
    raw = [kind for kind, image in RAW.items() if image is None or image in formats]
    return {
        **_score_paths(raw),
        **_health_paths(),
        **_protocol_paths(),
        "/openapi.json": {"get": _operation("openapi", "This document", {"type": "object"})},
        "/swagger.json": {
            "get": _operation(
                "swagger",
                "The same in short as Swagger 2.0, as Azure ML's endpoints have it",
                {"type": "object"},
                errors=[404],
                parameters=[
                    {"name": "version", "in": "query", "schema": {"enum": ["2", "3"]}, "description": "3: OpenAPI"}
                ],
            )
        },
    }


def _score_paths(raw: Iterable[str]) -> dict[str, Json]:
    images: Json = {kind: {"schema": {}} for kind in raw}
    skill: Json = {"errors": SCORING, "headers": MODEL_HEADERS, "body": _json("SkillRequest")}
    image = {**images, "multipart/form-data": {"schema": shapes.ref("VisionForm")}}
    scored: Json = {"errors": SCORING, "headers": MODEL_HEADERS, "parameters": [THRESHOLD]}
    words = "Search's custom skill: every record answered once, with data or with errors"
    url = _operation("url", "Always refused: no address is opened", None, errors=[400])
    return {
        "/score": {
            "post": _operation(
                "score",
                "The boxes of one image or of many, an element each",
                shapes.ref("ScoreAnswer"),
                body={**_json("ScoreRequest"), **images},
                **scored,
            )
        },
        "/skill": {"post": _operation("skill", words, shapes.ref("SkillAnswer"), **skill)},
        "/api/extraction": {"post": _operation("extraction", words, shapes.ref("SkillAnswer"), **skill)},
        "/image": {
            "post": _operation(
                "image", "One image, answered as Custom Vision does", shapes.ref("VisionAnswer"), body=image, **scored
            )
        },
        "/url": {"post": url},
        "/invocations": {
            "post": _operation(
                "invocations",
                "MLflow's scoring protocol",
                shapes.ref("InvocationsAnswer"),
                body=_json("InvocationsRequest"),
                **scored,
            )
        },
    }


def _health_paths() -> dict[str, Json]:
    def ready(identity: str) -> Json:
        operation = _operation(identity, "Whether a model is loaded", shapes.ref("Ready"))
        operation["responses"]["503"] = _response(503, "NotReady", RETRY)
        return {"get": operation}

    root = _operation("root", "Healthy, or the page for a browser", None)
    root["responses"]["200"] = {
        "description": "Healthy",
        "content": {"text/plain": {"schema": shapes.TEXT}, "text/html": {"schema": shapes.TEXT}},
    }
    ping = _operation("ping", "MLflow's health check, an empty line", {}, errors=[503])
    del ping["responses"]["200"]["content"]
    metrics = _operation("metrics", "Numbers for Prometheus", shapes.TEXT, kind="text/plain")
    metadata = _operation("metadata", "The model that serves, and the limits", shapes.ref("Metadata"), errors=[503])
    return {
        "/": {"get": root},
        "/health/live": {"get": _operation("live", "Whether the server answers", shapes.ref("Live"))},
        "/health/ready": ready("ready"),
        "/api/healthcheck": ready("healthcheck"),
        "/metadata": {"get": metadata},
        "/metrics": {"get": metrics},
        "/ping": {"get": ping},
        "/version": {"get": _operation("version", "This package's version", shapes.TEXT, kind="text/plain")},
    }


def _protocol_paths() -> dict[str, Json]:
    live = _operation("v2_live", "Whether the server answers", shapes.obj({"live": shapes.BOOLEAN}))
    ready = _operation("v2_ready", "Whether a model is loaded", shapes.obj({"ready": shapes.BOOLEAN}))
    ready["responses"]["503"] = {**ready["responses"]["200"], "description": WORDS[503], "headers": RETRY}
    paths = {
        "/v2": {"get": _operation("v2", "The Open Inference Protocol", shapes.ref("ServerMetadata"))},
        "/v2/health/live": {"get": live},
        "/v2/health/ready": {"get": ready},
    }
    for base, suffix in (("/v2/models/{name}", ""), ("/v2/models/{name}/versions/{version}", "_version")):
        names = [part[1:-1] for part in base.split("/") if part.startswith("{")]
        named = [{"name": name, "in": "path", "required": True, "schema": shapes.TEXT} for name in names]
        common: Json = {"error": "ProtocolError"}
        model_ready = shapes.obj({"name": shapes.TEXT, "ready": shapes.BOOLEAN})
        infer = _operation(
            f"v2_infer{suffix}",
            "The boxes of the images in one tensor",
            shapes.ref("InferAnswer"),
            errors=sorted({404, *SCORING}),
            parameters=[*named, THRESHOLD],
            headers=MODEL_HEADERS,
            body=_json("InferRequest"),
            **common,
        )
        known: Json = {"errors": [404, 503], "parameters": named, **common}
        words = "The model's tensors"
        paths[base] = {"get": _operation(f"v2_model{suffix}", words, shapes.ref("ModelMetadata"), **known)}
        paths[f"{base}/ready"] = {"get": _operation(f"v2_model_ready{suffix}", "Is it served", model_ready, **known)}
        paths[f"{base}/infer"] = {"post": infer}
    return paths


def _operation(
    identity: str,
    summary: str,
    schema: Json | None,
    *,
    kind: str = "application/json",
    errors: Iterable[int] = (),
    error: str = "Error",
    headers: Json | None = None,
    parameters: list[Json] | None = None,
    body: Json | None = None,
) -> Json:
    """`schema` of the answer 200; None where that never comes."""
    responses: Json = {}
    if schema is not None:
        responses["200"] = {"description": summary, "headers": headers or {}, "content": {kind: {"schema": schema}}}
    for status in errors:
        responses[str(status)] = _response(status, error, RETRY if status in (429, 503) else {})
    operation: Json = {"operationId": identity, "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _finish(operation: Json, *, locked: bool) -> None:
    """What every answer has: an id, and a 500 that says nothing of its reasons."""
    responses = operation["responses"]
    responses["500"] = _response(500, "Fault", {})
    if locked:
        responses["401"] = _response(
            401, "Error", {"www-authenticate": {"schema": shapes.TEXT, "required": True, "description": "Bearer"}}
        )
        operation["security"] = [{name: []} for name in SCHEMES]
    for response in responses.values():
        response["headers"] = {**response.get("headers", {}), **REQUEST_ID}


def _response(status: int, schema: str, headers: Json) -> Json:
    """404 may also come from a path that is not there, in the body that every other error has."""
    named = [schema, "Error"] if status == 404 and schema != "Error" else [schema]
    body = shapes.ref(named[0]) if len(named) == 1 else {"anyOf": [shapes.ref(name) for name in named]}
    return {"description": WORDS[status], "headers": headers, "content": {"application/json": {"schema": body}}}


def _json(name: str) -> Json:
    return {"application/json": {"schema": shapes.ref(name)}}
