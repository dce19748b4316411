"""What a registered version says of itself in tags: strings, as Azure ML has them. Knows no registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_training.workspaces.base import GateDecision, Json

METRIC_TAGS = {
    "Mean Average Precision": "mean_average_precision",
    "Precision": "precision",
    "Recall": "recall",
}
MAX_OWN = 20  # numbers of the service's own; Azure ML takes 50 tags in all


def model_tags(manifest: Json, decision: GateDecision) -> dict[str, str]:
    """Strings, as Azure ML has them; an undefined number has no tag."""
    metrics: Mapping[str, Any] = manifest.get("metrics", {})
    dataset: Mapping[str, Any] = manifest.get("source", {}).get("dataset", {})
    tags = {tag: metrics.get(key) for tag, key in METRIC_TAGS.items()}
    tags |= {"metrics_split": metrics.get("split"), "model_framework": "ONNX", "task": manifest.get("task")}
    tags |= {"algorithm": manifest.get("algorithm"), "dataset_name": dataset.get("name")}
    tags |= {"dataset_version": dataset.get("version"), "gate": decision.code, "gate_reason": decision.reason[:1000]}
    own: Mapping[str, Any] = manifest.get("automl", {}).get("metrics", {})  # never mixed up with those of the bundle
    tags |= {f"automl_{name}": own[name] for name in sorted(own)[:MAX_OWN]}
    return {key: str(value) for key, value in tags.items() if value is not None}
