"""Truth and detections for the tests: written by hand, or generated with noise."""

from __future__ import annotations

import numpy as np

from model_training.evaluation.truth import GroundTruth
from scoring.detections import Detections

SIZE = 400  # pixels a side of every image here


def image(boxes: list[tuple[float, ...]], labels: list[int], crowd: list[bool] | None = None) -> GroundTruth:
    return GroundTruth(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(crowd if crowd is not None else [False] * len(labels), np.bool_),
        SIZE,
        SIZE,
    )


def found(boxes: list[tuple[float, ...]], labels: list[int], scores: list[float]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64)
    )


A, B, C = (0.1, 0.1, 0.3, 0.3), (0.5, 0.5, 0.7, 0.7), (0.1, 0.6, 0.3, 0.9)
ELSEWHERE = (0.8, 0.0, 0.9, 0.1)


def scene(
    seed: int, images: int = 12, classes: int = 3, *, crowds: bool = True
) -> tuple[list[GroundTruth], list[Detections]]:
    """Noisy detections of random objects: some missed, some doubled, some of the wrong label, some crowds."""
    rng = np.random.default_rng(seed)
    truth, detections = [], []
    for _ in range(images):
        n, m = int(rng.integers(0, 8)), int(rng.integers(0, 25))
        corner = rng.random((n, 2)) * 0.7
        boxes = np.concatenate([corner, corner + 0.03 + rng.random((n, 2)) * 0.25], axis=1).astype(np.float32)
        labels = rng.integers(0, classes, n)
        truth.append(GroundTruth(boxes, labels, crowds & (rng.random(n) < 0.1), 640, 480))
        near = rng.integers(0, n, m if n else 0)
        noisy = boxes[near] + rng.normal(0, 0.005, (len(near), 4)).astype(np.float32)
        scores = np.sort(rng.random(len(near)).astype(np.float32))[::-1]
        guessed = np.where(rng.random(len(near)) < 0.8, labels[near], rng.integers(0, classes, len(near)))
        detections.append(Detections(noisy, scores, guessed))
    return truth, detections
