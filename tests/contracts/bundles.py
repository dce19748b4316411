"""Tiny hand-made bundles and gate decisions for the workspace tests: real manifests, bytes instead of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model_training.workspaces.base import Bundle, GateDecision
from scoring.bundle import write_manifest
from scoring.manifest import Preprocess

METRICS: dict[str, Any] = {
    "split": "test",
    "images": 4,
    "mean_average_precision": 0.75,
    "coco_ap": 0.5,
    "precision": 0.8,
    "recall": None,
    "per_label": {"cap": {"average_precision": 0.75}},
}


def tiny_bundle(
    folder: Path, *, model: bytes = b"not a network", dataset: str = "caps", version: str = "1", **metrics: Any
) -> Bundle:
    (folder / "golden").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / "golden" / "0001.jpg").write_bytes(b"not a picture")
    manifest = {
        "schema": 1,
        "name": "Cap_Detection_Model",
        "created_at": "2026-05-01T10:00:00Z",
        "task": "image_object_detection",
        "algorithm": "yolov5",
        "source": {
            "git_commit": "abc",
            "engine": "local",
            "dataset": {"name": dataset, "version": version, "sha256": "0" * 64},
            "split_sha256": "1" * 64,
            "seed": 1,
        },
        "metrics": METRICS | metrics,
        "preprocess": Preprocess((320, 320)).to_json(),
        "postprocess": {"kind": "cva", "iou": 0.5, "score_threshold": 0.25, "max_boxes": 100},
        "labels": ["cap"],
        "runtime": {"format": "onnx", "opset": 18, "onnxruntime": ">=1.20"},
    }
    return Bundle(folder, write_manifest(folder, manifest))


def decision(
    *, register: bool = True, promote: bool = True, code: str = "first", champion: int | None = None
) -> GateDecision:
    """`champion` is the version that it was held against."""
    reason = "the first version of this model" if code == "first" else f"decided: {code}"
    return GateDecision(register, promote, reason, code, METRICS, None, champion)
