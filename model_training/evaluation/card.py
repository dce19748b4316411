"""What a page says about a model in words and numbers, from its manifest. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """For `write_page`: what is not known is left out."""
    metrics, source = manifest.get("metrics", {}), manifest.get("source", {})
    size = {file["path"]: file["bytes"] for file in manifest.get("files", [])}.get("model.onnx")
    dataset, runtime = source.get("dataset", {}), manifest.get("runtime", {})
    parity = manifest.get("parity", {})
    card = {
        "mean average precision": metrics.get("mean_average_precision"),
        "COCO average precision": metrics.get("coco_ap"),
        "precision": metrics.get("precision"),
        "recall": metrics.get("recall"),
        "measured on": f"{metrics.get('images')} {metrics.get('split')} images" if metrics else None,
        "mean average precision at the threshold": metrics.get("mean_average_precision_at_threshold"),
        "threshold": manifest.get("postprocess", {}).get("score_threshold"),
        "labels": ", ".join(manifest.get("labels", [])),
        "algorithm": f"{manifest.get('algorithm')} ({manifest.get('implementation')})",
        "input": " x ".join(str(side) for side in manifest.get("preprocess", {}).get("size", [])) + " px",
        "data set": f"{dataset.get('name')}:{dataset.get('version')}" if dataset else None,
        "data set hash": dataset.get("sha256"),
        "split hash": source.get("split_sha256"),
        "seed": source.get("seed"),
        "model.onnx": f"{size / 1e6:.1f} MB, opset {runtime.get('opset')}" if size else None,
        "ONNX against PyTorch": f"boxes within {parity['max_box_px']:.1g} px" if parity else None,
        "made": manifest.get("created_at"),
        "git commit": source.get("git_commit"),
    }
    return {name: value for name, value in card.items() if value not in (None, "", {})} | {
        "per label": metrics.get("per_label", {})
    }
