"""One training picture from one or four examples: cut, scaled, mirrored, recoloured. Knows no files and no torch.

Each example is warped once, straight into its rectangle of the canvas; no larger picture is built in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.training.examples import Examples

PAD = 114


@dataclass(frozen=True)
class Augmentation:
    """How far pictures are changed."""

    scale: tuple[float, float] = (0.6, 1.4)
    stretch: float = 0.1  # of the aspect, either way
    mirror: float = 0.5  # probability
    hue: float = 0.015
    saturation: float = 0.6
    brightness: float = 0.4
    visible: float = 0.3  # objects that show less of themselves are left out
    smallest: float = 3.0  # pixels of the shorter side


@dataclass(frozen=True)
class Picture:
    """`pixels` (S, S, 3) uint8 RGB, `boxes` (n, 4) xyxy pixels, `labels` (n,)."""

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


def compose(
    examples: Examples, numbers: Sequence[int], size: int, scale: float, rng: np.random.Generator, how: Augmentation
) -> Picture:
    """One example fills the canvas, four share it around a random centre. `scale`: `size` over the examples' size."""
    canvas = np.full((size, size, 3), PAD, np.uint8)
    parts = [
        _place(examples, number, canvas, area, scale, rng, how)
        for number, area in zip(numbers, _areas(len(numbers), size, rng), strict=True)
    ]
    boxes = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    return Picture(_recolour(canvas, rng, how), boxes, labels)


def _areas(count: int, size: int, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    if count == 1:
        return [(0, 0, size, size)]
    x, y = (int(value) for value in rng.integers(size * 3 // 10, size * 7 // 10 + 1, 2))
    return [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]


def _place(
    examples: Examples,
    number: int,
    canvas: NDArray[np.uint8],
    area: tuple[int, int, int, int],
    scale: float,
    rng: np.random.Generator,
    how: Augmentation,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    left, top, right, bottom = area
    inner = examples.inner[number]
    zoom = scale * rng.uniform(*how.scale) * np.exp(rng.uniform(-how.stretch, how.stretch) * np.array([0.5, -0.5]))
    room = np.array([right - left, bottom - top]) - inner * zoom
    shift = np.round(rng.uniform(np.minimum(room, 0), np.maximum(room, 0)))
    if rng.random() < how.mirror:
        zoom[0], shift[0] = -zoom[0], shift[0] + inner[0] * zoom[0]
    image = examples.pixels[number][: inner[1], : inner[0]]
    matrix = np.array([[zoom[0], 0, shift[0] + (zoom[0] - 1) / 2], [0, zoom[1], shift[1] + (zoom[1] - 1) / 2]])
    canvas[top:bottom, left:right] = cv2.warpAffine(image, matrix, (right - left, bottom - top), borderValue=(PAD,) * 3)
    boxes = examples.boxes[number] * np.tile(zoom, 2) + np.tile(shift, 2)
    if zoom[0] < 0:
        boxes = boxes[:, [2, 1, 0, 3]]
    return _clip(boxes.astype(np.float32), examples.labels[number], area, how)


def _clip(
    boxes: NDArray[np.float32], labels: NDArray[np.int64], area: tuple[int, int, int, int], how: Augmentation
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    left, top, right, bottom = area
    seen = np.clip(boxes, 0, np.array([right - left, bottom - top] * 2, np.float32))
    sides = seen[:, 2:] - seen[:, :2]
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    keep = (sides.min(1, initial=np.inf) >= how.smallest) & (sides.prod(1) >= how.visible * whole)
    return seen[keep] + np.array([left, top] * 2, np.float32), labels[keep]


def _recolour(pixels: NDArray[np.uint8], rng: np.random.Generator, how: Augmentation) -> NDArray[np.uint8]:
    gains = 1 + rng.uniform(-1, 1, 3) * (how.hue, how.saturation, how.brightness)
    steps = np.arange(256)
    hue = ((steps * gains[0]) % 180).astype(np.uint8)
    others = [np.clip(steps * gain, 0, 255).astype(np.uint8) for gain in gains[1:]]
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    table = np.stack([hue, *others], -1)[None]
    changed: NDArray[np.uint8] = cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB)
    return changed
