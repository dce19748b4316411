"""Discs and squares: generated parts, a detector that finds them by colour without training, and a bundle of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from model_training.data.jsonl import write_rows
from model_training.data.rows import Box, Row
from model_training.packaging.export import export_onnx
from model_training.workspaces.base import Bundle
from scoring.bundle import write_manifest
from scoring.manifest import Preprocess

LABELS = ("disc", "square")
SIZE = 64  # of the detector's input
CELL, SIDE = 16, 16.0  # pixels of the input: one anchor a cell; every object is as large as a cell


class Blobs(torch.nn.Module):
    """One box a cell of the grid, scored by how red (disc) or green (square) the cell is. `shift` makes it worse."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = shift
        self.cells = torch.nn.AvgPool2d(CELL)
        self.score = torch.nn.Conv2d(3, len(LABELS), 1)
        self.norm = torch.nn.BatchNorm2d(len(LABELS))
        with torch.no_grad():
            self.score.weight.copy_(torch.tensor([[9.0, -9, -3], [-9, 9, -3]])[:, :, None, None])
            self.score.bias.fill_(-3.0)
        self.eval()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.norm(self.score(self.cells(images)))
        height, width = images.shape[2] // CELL, images.shape[3] // CELL
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        corner = torch.stack((x, y), -1).reshape(1, -1, 2) * float(CELL) + self.shift
        scores = logits.sigmoid().flatten(2).transpose(1, 2)
        return torch.cat((corner, corner + SIDE), -1) + 0 * scores.mean(2, keepdim=True), scores


def draw(folder: Path, part: str, images: int, seed: int) -> Path:
    """A part as JSONL beside its images, 128 x 128 pixels; every fourth image is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(images):
        picture = Image.new("RGB", (2 * SIZE, 2 * SIZE), (20, 20, 40))
        pencil = ImageDraw.Draw(picture)
        boxes = []
        for cell in rng.choice(16, 0 if number % 4 == 3 else int(rng.integers(1, 5)), replace=False):
            label = int(rng.integers(0, 2))
            left, top = int(cell % 4) * 32, int(cell // 4) * 32
            shape = pencil.ellipse if label == 0 else pencil.rectangle
            shape((left, top, left + 31, top + 31), fill=((220, 30, 30), (30, 220, 30))[label])
            boxes.append(Box(LABELS[label], left / 128, top / 128, (left + 32) / 128, (top + 32) / 128))
        name = f"{part}{number}.png"
        picture.save(folder / name)
        rows.append(Row(name, boxes=tuple(boxes), width=128, height=128, file_name=name))
    path = folder / f"{part}.jsonl"
    write_rows(path, rows)
    return path


def blob_bundle(folder: Path, *, shift: float = 0.0, labels: tuple[str, ...] = LABELS) -> Bundle:
    """The least that a detector loads: the graph and its manifest."""
    folder.mkdir(parents=True)
    graph = export_onnx(Blobs(shift), image_size=SIZE, classes=len(labels), iou=0.5, max_boxes=20)
    (folder / "model.onnx").write_bytes(graph)
    manifest: dict[str, Any] = {
        "schema": 1,
        "name": "Shapes",
        "task": "image_object_detection",
        "metrics": {},
        "preprocess": Preprocess((SIZE, SIZE)).to_json(),
        "postprocess": {"kind": "cva", "iou": 0.5, "score_threshold": 0.5, "max_boxes": 20},
        "labels": list(labels),
        "runtime": {"format": "onnx", "opset": 18, "onnxruntime": ">=1.20"},
    }
    return Bundle(folder, write_manifest(folder, manifest))
