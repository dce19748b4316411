"""The Swagger 2.0 document of /score, as tools for Azure ML's endpoints read it. Pure data, no model's name."""

from __future__ import annotations

from typing import Any

from scoring.server import shapes
from scoring.server.settings import ServeSettings

Json = dict[str, Any]
NAMES = ("x-api-key", "Ocp-Apim-Subscription-Key", "Authorization")
STATUSES = (400, 401, 408, 413, 415, 429, 503, 504)


def swagger(settings: ServeSettings, version: str) -> Json:
    security: list[Json] = [{name: []} for name in NAMES]
    document: Json = {
        "swagger": "2.0",
        "info": {"title": "cva serve", "version": version, "description": "Images in, the objects in them out."},
        "schemes": ["https", "http"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": {
            "/": {"get": _operation("ServiceHealthCheck", "Healthy", {"type": "string"}, produces=["text/plain"])},
            "/score": {"post": _score(security if settings.locked else [])},
            "/swagger.json": {"get": _operation("GetSwaggerSpec", "This document", {"type": "object"})},
        },
        "definitions": _definitions(),
    }
    if settings.locked:
        document["securityDefinitions"] = {
            name: {"type": "apiKey", "in": "header", "name": name, "description": "a key; Authorization: Bearer KEY"}
            for name in NAMES
        }
    return document


def _score(security: list[Json]) -> Json:
    operation = _operation(
        "RunMLService", "The boxes of each image", {"$ref": "#/definitions/ServiceOutput"}, security=security
    )
    operation["parameters"] = [
        {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/ServiceInput"}},
        {"name": "threshold", "in": "query", "type": "number", "minimum": 0, "maximum": 1},
    ]
    refused = {"description": "the message says why", "schema": {"$ref": "#/definitions/ErrorResponse"}}
    operation["responses"].update({str(status): refused for status in STATUSES})
    return operation


def _operation(identity: str, words: str, schema: Json, **more: Any) -> Json:
    fault = {"description": "our own fault", "schema": {"$ref": "#/definitions/Fault"}}
    responses = {"200": {"description": words, "schema": schema}, "500": fault}
    return {"operationId": identity, "description": words, "responses": responses, **more}


def _definitions() -> Json:
    """JSON Schema's draft 4: no `anyOf`, no `const`, so one of the two shapes of a request."""
    text, image = {"type": "string"}, {"type": "string", "format": "byte"}
    fraction = {"type": "number", "minimum": 0, "maximum": 1}
    table = shapes.obj({"data": shapes.array(image)}, {"columns": shapes.array(text), "index": shapes.array({})})
    box = shapes.obj({side: fraction for side in shapes.SIDES})
    found = shapes.obj({"box": box, "label": text, "score": fraction})
    problem = shapes.obj({"code": text, "message": text})
    element = shapes.obj({"filename": text, "boxes": shapes.array(found)}, {"error": problem})
    error = shapes.obj({"code": text, "message": text, "hint": text})
    example = {"input_data": {"columns": ["image"], "data": ["<base64>"]}}
    return {
        "ServiceInput": {**shapes.obj({"input_data": table}), "example": example},
        "ServiceOutput": shapes.array(element),
        "ErrorResponse": shapes.obj({"error": error, "request_id": text}),
        "Fault": shapes.obj({"message": text, "request_id": text}),
    }
