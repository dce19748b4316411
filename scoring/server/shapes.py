"""The messages of every route as JSON Schemas (2020-12), the same that the parsers accept. Pure data."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def obj(required: dict[str, Any], optional: dict[str, Any] | None = None, *, more: bool = False) -> Schema:
    schema: Schema = {"type": "object", "properties": {**required, **(optional or {})}}
    if required:
        schema["required"] = list(required)
    return schema if more else {**schema, "additionalProperties": False}


def array(items: Any, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT, NUMBER, COUNT = {"type": "string"}, {"type": "number"}, {"type": "integer", "minimum": 0}
FRACTION = {"type": "number", "minimum": 0, "maximum": 1}
BOOLEAN, NULL = {"type": "boolean"}, {"type": "null"}
BASE64 = {
    "type": "string",
    "contentEncoding": "base64",
    "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "description": "an image file's bytes; line breaks and a data: prefix are taken too",
}
THRESHOLDS = {"anyOf": [FRACTION, {"type": "object", "additionalProperties": FRACTION}]}
INDEX = array({"anyOf": [{"type": "integer"}, TEXT]})
SIDES = {side: FRACTION for side in ("topX", "topY", "bottomX", "bottomY")}
MESSAGES = {"anyOf": [array(obj({"message": TEXT}), minItems=1), NULL]}
FILE = obj({"data": BASE64}, {"$type": TEXT}, more=True)
PICTURE = {"anyOf": [BASE64, FILE]}
PICTURES = {"anyOf": [PICTURE, array(PICTURE)]}
PROBLEM = obj({"code": TEXT, "message": TEXT})

ERRORS: dict[str, Schema] = {
    "Error": obj({"error": obj({"code": TEXT, "message": TEXT, "hint": TEXT}), "request_id": TEXT}),
    "Fault": obj({"message": TEXT, "request_id": TEXT}),
    "ProtocolError": obj({"error": TEXT}),
}

SCORE: dict[str, Schema] = {
    "Base64Image": BASE64,
    "Box": obj({"box": obj(SIDES), "label": TEXT, "score": FRACTION}),
    "Element": obj({"filename": TEXT, "boxes": array(ref("Box"))}, {"error": PROBLEM}),
    "ScoreAnswer": array(ref("Element")),
    "ScoreRequest": {
        "anyOf": [
            obj({"input_data": obj({"data": array(ref("ScoreItem"))}, {"columns": {"const": ["image"]}})}),
            obj({"data": array(ref("ScoreItem"))}),
        ],
        "examples": [{"input_data": {"columns": ["image"], "data": ["<base64>"]}}, {"data": ["<base64>"]}],
        "description": "'input_data' may also hold 'index', a list as long as 'data'; an item may also be a JSON text"
        ' {"image_base64":"…"}',
    },
    "ScoreItem": {"anyOf": [ref("Base64Image"), array(ref("Base64Image"), minItems=1, maxItems=1)]},
}

SKILL: dict[str, Schema] = {
    "SkillRequest": obj({"values": array(ref("SkillRecord"), maxItems=1000)}, more=True),
    "SkillRecord": {
        **obj({"recordId": {"anyOf": [TEXT, {"type": "integer"}]}}, {"data": {}}, more=True),
        "description": "a record whose data is not as below is answered with an error of its own",
        "examples": [{"recordId": "0", "data": {"image": {"$type": "file", "data": "<base64>"}}}],
    },
    "SkillData": obj({}, {"image": PICTURE, "images": PICTURES, "pages": PICTURES}, more=True),
    "SkillObject": obj({"label": TEXT, "score": FRACTION, "box": obj(SIDES)}, {"page": {"type": "integer"}}),
    "SkillOutputs": obj(
        {
            "objects": array(ref("SkillObject")),
            "tags": array(TEXT),
            "objectCount": COUNT,
            "amllabel": array(TEXT),
        }
    ),
    "SkillResult": obj(
        {
            "recordId": {"anyOf": [TEXT, {"type": "integer"}]},
            "data": {"anyOf": [ref("SkillOutputs"), obj({})]},
            "errors": MESSAGES,
            "warnings": MESSAGES,
        }
    ),
    "SkillAnswer": {
        "anyOf": [obj({"values": array(ref("SkillResult"))}), ref("SkillOutputs")],
        "description": "the outputs alone for the bare object that Search's AML skill sends",
    },
}

HEALTH: dict[str, Schema] = {
    "Live": obj({"status": {"const": "live"}}),
    "Ready": obj({"status": {"const": "ready"}, "model": TEXT, "version": TEXT}),
    "NotReady": obj({"status": {"const": "not ready"}, "reason": TEXT}),
    "Metadata": obj(
        {
            "name": TEXT,
            "version": TEXT,
            "manifest_sha256": TEXT,
            "loaded_at": TEXT,
            "task": TEXT,
            "labels": array(TEXT),
            "thresholds": obj({"score": THRESHOLDS, "iou": FRACTION}),
            "metrics": {"type": "object"},
            "limits": {"type": "object"},
        },
        more=True,
    ),
}

_VISION_BOX = obj({side: NUMBER for side in ("left", "top", "width", "height")})
VISION: dict[str, Schema] = {
    "VisionAnswer": obj(
        {
            "id": {"type": "string", "format": "uuid"},
            "project": {"type": "string", "format": "uuid"},
            "iteration": {"type": "string", "format": "uuid"},
            "created": {"type": "string", "format": "date-time"},
            "predictions": array(
                obj({"probability": FRACTION, "tagId": TEXT, "tagName": TEXT, "boundingBox": _VISION_BOX})
            ),
        }
    ),
    "VisionForm": obj({"imageData": {"type": "string", "contentMediaType": "application/octet-stream"}}, more=True),
}

_INPUT = {"name": {"const": "image"}, "shape": array(COUNT, minItems=1, maxItems=2), "datatype": {"const": "BYTES"}}
_OUTPUT = obj({"name": {"enum": ["boxes", "scores", "labels", "num", "errors"]}}, more=True)
_TENSOR = obj({"name": TEXT, "datatype": TEXT, "shape": array({"type": "integer"})}, {"data": {"type": "array"}})
PROTOCOLS: dict[str, Schema] = {
    "InferRequest": obj(
        {"inputs": array(obj({**_INPUT, "data": array(BASE64)}, more=True), minItems=1, maxItems=1)},
        {"id": TEXT, "outputs": array(_OUTPUT)},
        more=True,
    ),
    "InferAnswer": obj({"model_name": TEXT, "outputs": array(_TENSOR)}, {"model_version": TEXT, "id": TEXT}),
    "ModelMetadata": obj(
        {
            "name": TEXT,
            "versions": array(TEXT),
            "platform": TEXT,
            "inputs": array(_TENSOR),
            "outputs": array(_TENSOR),
        }
    ),
    "ServerMetadata": obj({"name": TEXT, "version": TEXT, "extensions": array(TEXT)}),
    "InvocationsRequest": {
        "anyOf": [
            obj(
                {
                    "dataframe_split": obj(
                        {"columns": {"const": ["image"]}, "data": array(array(BASE64, minItems=1, maxItems=1))}
                    )
                }
            ),
            obj({"dataframe_records": array(obj({"image": BASE64}))}),
            obj({"inputs": {"anyOf": [obj({"image": array(BASE64)}), array(BASE64)]}}),
            obj({"instances": array({"anyOf": [BASE64, obj({"image": BASE64})]})}),
        ]
    },
    "InvocationsAnswer": obj({"predictions": ref("ScoreAnswer")}),
}

ALL: dict[str, Schema] = {**ERRORS, **SCORE, **SKILL, **HEALTH, **VISION, **PROTOCOLS}
