"""Folders as Azure's AutoML leaves them, around small graphs that find what `draw` paints; and the data for them.

A picture is of one colour. Each of its channels that is bright stands for one object, in a fixed place: the graphs of
all three families find it there and score it by the channel's mean.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_training.data.jsonl import write_rows
from model_training.data.rows import Box, Row
from model_training.workspaces.base import TrialResult
from tests.scoring.graphs.exports import torchvision_like

COLOURS = ("red cap", "green, cap", "blue-cap")  # in the order of the channels
PLACES = ((0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1), (0.25, 0.25, 0.75, 0.75))  # fractions of the picture
WIDE, HIGH = 160, 120
METRICS = {
    "mean_average_precision": 0.625,
    "precision": 0.25,
    "recall": 1.0,
    "best": "yes",
    "f1": -1,
    "auc": float("nan"),
}


@dataclass(frozen=True)
class Shape:
    """What one family leaves: the names of its outputs, and whether label 0 is the background."""

    algorithm: str
    kind: str
    background: bool
    outputs: tuple[str, ...] = ()


YOLO = Shape("yolov5", "automl_yolov5", False)
RCNN = Shape("fasterrcnn_resnet50_fpn", "automl_fasterrcnn", True, ("boxes", "labels", "scores"))
RETINA = Shape("retinanet_resnet50_fpn", "automl_retinanet", False, ("boxes", "scores", "labels"))
SHAPES = (YOLO, RCNN, RETINA)


def draw(folder: Path, part: str, images: int, seed: int) -> Path:
    """A part as JSONL beside its pictures. In every fifth one an object stands where no graph looks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(images):
        bright = rng.random(3) < 0.5
        colour = np.where(bright, rng.integers(190, 250, 3), rng.integers(5, 60, 3))
        boxes = [Box(label, *place) for label, place, on in zip(COLOURS, PLACES, bright, strict=True) if on]
        if number % 5 == 4:
            boxes.append(Box(COLOURS[number % 3], 0.8, 0.0, 1.0, 0.2))
        name = f"{part}{number}.png"
        Image.new("RGB", (WIDE, HIGH), tuple(int(value) for value in colour)).save(folder / name)
        rows.append(Row(name, boxes=tuple(boxes), width=WIDE, height=HIGH, file_name=name))
    path = folder / f"{part}.jsonl"
    write_rows(path, rows)
    return path


def graph(shape: Shape) -> bytes:
    return yolo_like() if shape is YOLO else torchvision_like(shape.outputs, int(shape.background))


def yolo_like(*, labels: int = 3, opset: int = 11) -> bytes:
    """Raw predictions (1, labels, 5 + labels) of an input of 64 x 64, in which a picture lies in rows 8 to 55."""
    from onnx import TensorProto, helper, numpy_helper

    centres = [[32 * (x1 + x2), 8 + 24 * (y1 + y2), 64 * (x2 - x1), 48 * (y2 - y1)] for x1, y1, x2, y2 in PLACES]
    constants = {"places": np.array([centres]), "names": np.eye(3, labels)[None]}
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["brightness"], axes=[2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["brightness"], ["chance"], axes=[2]),
        helper.make_node("Concat", ["places", "chance", "names"], ["output"], axis=2),
        helper.make_node("Identity", ["input"], ["for_training"]),
    ]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 64, 64])
    outputs = [
        helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, 5 + labels]),
        helper.make_tensor_value_info("for_training", TensorProto.FLOAT, [1, 3, 64, 64]),
    ]
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    body = helper.make_graph(nodes, "yolo", [image], outputs, weights)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    return bytes(model.SerializeToString())


def leave(folder: Path, onnx: bytes, labels: Sequence[str], *, background: bool, settings: Any = None) -> Path:
    """The child run's files, pickles and all; returns `folder`."""
    files: dict[str, bytes] = {
        "train_artifacts/model.onnx": onnx,
        "train_artifacts/labels.json": json.dumps(["--bg--", *labels] if background else list(labels)).encode(),
        "train_artifacts/model.pt": b"PK\x03\x04 a pickle that nobody opens",
        "train_artifacts/per_label_metrics.json": json.dumps(
            {label: {"average_precision": 0.5, "precision": -1, "recall": 1.0} for label in labels}
        ).encode(),
        "outputs/mlflow-model/artifacts/settings.json": json.dumps(settings or {"img_size": 64}).encode(),
        "outputs/mlflow-model/requirements.txt": b"torch==2.8.0\nazureml-automl-dnn-vision==1.62.0.post1\n",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def left_by(shape: Shape, folder: Path, **hyperparameters: Any) -> TrialResult:
    """A finished trial of the service, its files in `folder`."""
    exported = leave(folder, graph(shape), COLOURS, background=shape.background)
    return trial(shape.algorithm, exported, **hyperparameters)


def trial(algorithm: str, exported: Path, **hyperparameters: Any) -> TrialResult:
    return TrialResult(
        number=3,
        status="completed",
        algorithm=algorithm,
        hyperparameters={"learning_rate": 0.005, **hyperparameters},
        metrics=METRICS,
        best_epoch=7,
        epochs=15,
        cpu_seconds=0.0,
        seconds=600.0,
        folder=exported,
        weights=None,
        exported=exported,
    )
