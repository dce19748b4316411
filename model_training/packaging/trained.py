"""A trial that this project trained itself: its weights, exported to ONNX and checked against PyTorch."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.algorithms import IMPLEMENTATION
from model_training.data.jsonl import read_rows, resolve_image
from model_training.errors import DataError, TrainingError
from model_training.packaging.export import export_onnx
from model_training.packaging.material import Material
from model_training.packaging.parity import BATCHES, check_parity
from model_training.packaging.suppress import OPSET
from model_training.workspaces.base import Event, Json, Reporter, TrialResult
from scoring.images import open_image, preprocess
from scoring.manifest import Postprocess, Preprocess

if TYPE_CHECKING:
    from model_training.training.checkpoint import Detector as Trained


def from_weights(trial: TrialResult, labels: tuple[str, ...]) -> Material:
    """Raises: TrainingError: no weights, or weights of other labels."""
    from model_training.training.checkpoint import load_detector

    if trial.weights is None:
        raise TrainingError(f"trial {trial.number} left no weights: {trial.status}", hint="package another trial")
    trained = load_detector(trial.weights)
    if trained.labels != labels:
        raise TrainingError(
            f"expected weights for the labels {', '.join(labels)}, found {', '.join(trained.labels)}",
            hint="train again on this version of the data set",
        )
    fixed = trained.hyperparameters.get("box_score_threshold")
    return Material(
        file=trial.weights,
        stored_as="weights.safetensors",
        described=_described(trained),
        settings=_settings(trained),
        threshold=None if fixed is None else float(fixed),
        complete=partial(_export, trained),
    )


def _described(trained: Trained) -> Json:
    settings = trained.hyperparameters
    postprocess = Postprocess(
        kind="cva",
        iou=float(settings.get("nms_iou_threshold", 0.5)),
        score_threshold=0.0,
        max_boxes=int(settings.get("box_detections_per_image", 100)),
    )
    return {
        "algorithm": trained.algorithm,
        "implementation": IMPLEMENTATION,
        "license": "MIT",
        "preprocess": Preprocess((trained.image_size, trained.image_size)).to_json(),
        "postprocess": postprocess.to_json(),
        "labels": list(trained.labels),
        "runtime": {"format": "onnx", "opset": OPSET, "onnxruntime": ">=1.20"},
    }


def _settings(trained: Trained) -> Json:
    return {
        "algorithm": trained.algorithm,
        "implementation": IMPLEMENTATION,
        "model_size": trained.model_size,
        "image_size": trained.image_size,
        "hyperparameters": dict(trained.hyperparameters),
    }


def _export(trained: Trained, staging: Path, manifest: Json, validation: Path, reporter: Reporter) -> Json:
    reporter(Event("message", "export to ONNX and compare with PyTorch"))
    iou, most = manifest["postprocess"]["iou"], manifest["postprocess"]["max_boxes"]
    images = _sample(validation, Preprocess((trained.image_size, trained.image_size)))
    graph = export_onnx(
        trained.model, image_size=trained.image_size, classes=len(trained.labels), iou=iou, max_boxes=most
    )
    parity = check_parity(graph, trained.model, images, iou=iou, max_boxes=most)
    (staging / "model.onnx").write_bytes(graph)
    size = len(graph) / 1e6
    reporter(
        Event("message", f"model.onnx: {size:.1f} MB, boxes agree to {parity.max_box_px:.2g} px", parity.to_json())
    )
    return {"parity": parity.to_json()}


def _sample(part: Path, spec: Preprocess) -> list[Any]:
    rows = read_rows(part)[: max(BATCHES)]
    if not rows:
        raise DataError(f"{part} holds no images", hint="the export is checked on real images; add some")
    return [preprocess(open_image(resolve_image(row, part)), spec)[0] for row in rows]
