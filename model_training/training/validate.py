"""Detections of a model on prepared examples, and their metrics. Knows nothing about training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_training.evaluation.metrics import evaluate
from model_training.training.examples import Examples
from scoring.detections import Detections

LOWEST_SCORE = 0.001  # average precision is measured from here up
CANDIDATES = 1000  # boxes an image that NMS looks at


@dataclass(frozen=True)
class Selection:
    """What is kept of a model's boxes."""

    iou: float
    most: int  # boxes an image
    lowest: float = LOWEST_SCORE


def validate(
    model: nn.Module, examples: Examples, labels: Sequence[str], select: Selection, batch: int, threshold: float | None
) -> dict[str, Any]:
    """Metrics (CONTRACTS 5); `threshold` None chooses one a label by best F1 on these very examples."""
    found = [image for group in _batches(model, examples, batch, select) for image in group]
    return evaluate(examples.truth, found, labels, score_threshold=threshold)


@torch.inference_mode()
def _batches(model: nn.Module, examples: Examples, batch: int, select: Selection) -> Iterator[list[Detections]]:
    device = next(model.parameters()).device
    for first in range(0, len(examples), batch):
        numbers = range(first, min(first + batch, len(examples)))
        pixels = torch.from_numpy(np.stack([examples.pixels[number] for number in numbers])).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            boxes, scores = model(pixels.permute(0, 3, 1, 2).float() / 255)
        yield [
            fractions(select_boxes(b, s, select), examples.inner[number])
            for b, s, number in zip(boxes, scores, numbers, strict=True)
        ]


def fractions(detections: Detections, inner: NDArray[np.int64]) -> Detections:
    """Pixels of the square to fractions of the image that lies in it."""
    boxes = np.clip(detections.boxes / np.tile(inner, 2), 0, 1).astype(np.float32)
    return Detections(boxes, detections.scores, detections.labels)


def select_boxes(boxes: Tensor, scores: Tensor, select: Selection) -> Detections:
    """Suppress, within each label, boxes that overlap a better one. `boxes` (A, 4), `scores` (A, C)."""
    best = scores.flatten().topk(min(CANDIDATES, scores.numel()))
    order = best.indices[best.values >= select.lowest].cpu().numpy()
    point, label = order // scores.shape[1], order % scores.shape[1]
    candidates = boxes.float().cpu().numpy()[point]
    keep = _suppress(candidates, label, select)
    return Detections(candidates[keep], best.values.float().cpu().numpy()[keep], label[keep].astype(np.int64))


def _suppress(boxes: NDArray[np.float32], labels: NDArray[np.int64], select: Selection) -> NDArray[np.int64]:
    """Numbers of the boxes kept; `boxes` come best first."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    waiting = np.arange(len(boxes))
    kept: list[int] = []
    while len(waiting) and len(kept) < select.most:
        first, rest = int(waiting[0]), waiting[1:]
        kept.append(first)
        low = np.maximum(boxes[first, :2], boxes[rest, :2])
        high = np.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = np.clip(high - low, 0, None).prod(1)
        overlap = shared / np.maximum(areas[first] + areas[rest] - shared, 1e-9)
        waiting = rest[(overlap <= select.iou) | (labels[rest] != labels[first])]
    return np.array(kept, np.int64)
