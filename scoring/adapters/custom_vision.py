"""The answer of Azure Custom Vision's prediction API, as its clients and its exported containers know it.

Identities are UUIDs, as the service's typed clients demand, made from names: the same model and label give the same
ones everywhere. Knows nothing about HTTP; the time is handed in.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from scoring.detections import Detections
from scoring.wire import to_element

DECIMALS = 6
_SPACE = uuid.UUID("7f1c3a0e-5a57-5c58-9d0e-0b6a1e9f4c21")  # ours alone: any fixed value does


def to_answer(
    found: Detections, labels: Sequence[str], *, name: str, version: str, created: datetime, answer_id: uuid.UUID
) -> dict[str, Any]:
    """One image's boxes; fractions of the upright image, highest probability first."""
    project = uuid.uuid5(_SPACE, name)
    return {
        "id": str(answer_id),
        "project": str(project),
        "iteration": str(uuid.uuid5(project, f"version {version}")),
        "created": created.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "predictions": [_prediction(each, project) for each in to_element("", found, labels)["boxes"]],
    }


def _prediction(found: dict[str, Any], project: uuid.UUID) -> dict[str, Any]:
    box = found["box"]
    return {
        "probability": found["score"],
        "tagId": str(uuid.uuid5(project, f"tag {found['label']}")),
        "tagName": found["label"],
        "boundingBox": {
            "left": box["topX"],
            "top": box["topY"],
            "width": round(box["bottomX"] - box["topX"], DECIMALS),
            "height": round(box["bottomY"] - box["topY"], DECIMALS),
        },
    }
