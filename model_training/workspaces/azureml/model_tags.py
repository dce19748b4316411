"""What a registered version says of itself in tags on Azure ML, within its limits. Knows no registry."""

from __future__ import annotations

from typing import Any

from model_training.workspaces.azureml.service import ModelAsset
from model_training.workspaces.base import GateDecision, Json
from model_training.workspaces.model_versions import CHAMPION_SINCE, onnx_sha256
from model_training.workspaces.names import now
from model_training.workspaces.tags import METRIC_TAGS, model_tags
from scoring.errors import UsageError

MANIFEST, ONNX, RUN = "manifest_sha256", "onnx_sha256", "run_id"
MAX_TAGS, MAX_VALUE = 50, 1000
SPARE = 4  # for champion_since on a later version, and for people


def tags_of(manifest: Json, decision: GateDecision, *, run_id: str, manifest_sha256: str) -> dict[str, str]:
    """What every workspace says, what finds the version again, and since when it is champion; `automl_*` give way."""
    tags = model_tags(manifest, decision)
    tags |= {RUN: run_id, MANIFEST: manifest_sha256, ONNX: onnx_sha256(manifest)}
    if decision.promote:
        tags[CHAMPION_SINCE] = now()
    too_long = [key for key, value in tags.items() if len(value) > MAX_VALUE]
    if too_long:
        raise UsageError(f"tag {too_long[0]}: expected at most {MAX_VALUE} characters", hint="shorten the name")
    surplus = max(len(tags) - (MAX_TAGS - SPARE), 0)
    given_up = sorted(key for key in tags if key.startswith("automl_"))[::-1][:surplus]
    return {key: value for key, value in tags.items() if key not in given_up}


def stub(asset: ModelAsset) -> Json:
    """As much of the manifest as the tags say."""
    tags = asset.tags
    metrics: dict[str, Any] = {key: _number(tags.get(tag)) for tag, key in METRIC_TAGS.items()}
    metrics["split"] = tags.get("metrics_split")
    return {"name": asset.name, "task": tags.get("task"), "algorithm": tags.get("algorithm"), "metrics": metrics}


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
