"""An image into a detector's input, and boxes back out of it: what training, measuring and serving share.

Every variant is one that a trained model needs (CONTRACTS 6); `scoring.manifest` refuses the others. Without antialias
it is OpenCV's bilinear filter to one step of 255, which Azure's yolov5 was trained with. Knows no files and no models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoring.manifest import Preprocess


@dataclass(frozen=True)
class Letterbox:
    """How an image lies in the detector's input: `width` x `height` pixels at (left, top), padding around."""

    scale_x: float  # input pixels a source pixel
    scale_y: float
    width: int
    height: int
    left: int = 0
    top: int = 0


def place(width: int, height: int, spec: Preprocess) -> Letterbox:
    """Where an image of `width` x `height` pixels goes. Sides are rounded half to even, at least 1 pixel."""
    high, wide = spec.size
    if spec.resize == "stretch":
        return Letterbox(wide / width, high / height, wide, high)
    scale = min(wide / width, high / height)
    if spec.resize == "letterbox_shrink":
        scale = min(scale, 1.0)
    inner = min(wide, max(1, round(width * scale))), min(high, max(1, round(height * scale)))
    left, top = ((wide - inner[0]) // 2, (high - inner[1]) // 2) if spec.anchor == "center" else (0, 0)
    return Letterbox(inner[0] / width, inner[1] / height, *inner, left, top)


def letterbox_uint8(image: Image.Image, size: tuple[int, int], pad: int = 114) -> tuple[NDArray[np.uint8], Letterbox]:
    """The image scaled to fit `size` (height, width) and put top left on grey: (height, width, 3) uint8."""
    spec = Preprocess(size)
    box = place(image.width, image.height, spec)
    canvas = np.full((*size, 3), pad, np.uint8)
    canvas[: box.height, : box.width] = np.asarray(_resized(_rgb(image), box, spec.antialias))
    return canvas, box


def preprocess(image: Image.Image, spec: Preprocess) -> tuple[NDArray[np.float32], Letterbox]:
    """An RGB image as (3, H, W) float32, exactly as the manifest describes it."""
    array = np.empty((3, *spec.size), np.float32)
    return array, preprocess_into(image, spec, array)


def preprocess_into(image: Image.Image, spec: Preprocess, out: NDArray[np.float32]) -> Letterbox:
    """The same into `out`, one image's place in a batch: each number is written once, nothing is copied about."""
    box = place(image.width, image.height, spec)
    inner = _resized(_rgb(image), box, spec.antialias)
    bottom, right = box.top + box.height, box.left + box.width
    for channel, plane in enumerate(out):
        band = np.frombuffer(inner.tobytes("raw", "RGB"[channel]), np.uint8).reshape(box.height, box.width)
        plane[box.top : bottom, box.left : right] = band  # float32 first: a product in place takes half the time
        _normalise(plane[box.top : bottom, box.left : right], spec, channel)
        border = _normalise(np.full(1, spec.pad, np.float32), spec, channel)
        for edge in (plane[: box.top], plane[bottom:], plane[:, : box.left], plane[:, right:]):
            if edge.size:
                edge[...] = border
    return box


def unletterbox(boxes_px: Iterable[Sequence[float]], box: Letterbox) -> list[list[float]]:
    """Boxes, ltrb in input pixels, to fractions of the source image, clipped to [0, 1].

    Plain numbers: for the few boxes of an image, after a model, numpy's calls took twice as long (decision 0009).
    """
    corner, sides = (box.left, box.top) * 2, (box.width, box.height) * 2
    return [[_inside((x - low) / side) for x, low, side in zip(each, corner, sides, strict=True)] for each in boxes_px]


def _inside(fraction: float) -> float:
    return 0.0 if fraction < 0.0 else 1.0 if fraction > 1.0 else fraction


def _normalise(values: NDArray[np.float32], spec: Preprocess, channel: int) -> NDArray[np.float32]:
    """In place."""
    values *= np.float32(spec.scale)
    mean, std = np.float32(spec.mean[channel]), np.float32(spec.std[channel])
    if mean != 0:
        values -= mean
    if std != 1:
        values /= std
    return values


def _rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def _resized(image: Image.Image, box: Letterbox, antialias: bool) -> Image.Image:
    size = (box.width, box.height)
    if size == image.size:
        return image
    if antialias:  # the filter widens when it shrinks
        return image.resize(size, Image.Resampling.BILINEAR)
    grid = (image.width / box.width, 0, 0, 0, image.height / box.height, 0)
    return image.transform(size, Image.Transform.AFFINE, grid, Image.Resampling.BILINEAR)
