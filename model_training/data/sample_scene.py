"""One generated photograph: a background, things placed on it, light and lens.

Knows nothing about files or data sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.data.sample_sprites import DISTRACTORS, LABELS, Floats, Random, Sprite, bottle, pick

SUPERSAMPLING = 2  # sprites are drawn this much larger than they are shown
MIN_VISIBLE = 0.55  # of a bottle, and of its cap: what is hidden further is not drawn at all
SIZES = ((0.03, 0.10), (0.10, 0.18), (0.18, 0.30), (0.30, 0.40))
SIZES_UP_TO = (0.02, 0.12, 0.82)  # shares of the bottles, added up
NO_BOTTLE = 0.08  # share of pictures without any bottle


@dataclass(frozen=True)
class Placed:
    """A bottle in the picture: its class and its whole box in pixels, left, top, right, bottom."""

    label: str
    box: tuple[float, float, float, float]


@dataclass
class _Scene:
    image: Floats
    owner: NDArray[np.int32]  # 2k: body of thing k, 2k + 1: its cap, 0: background
    drawn: dict[int, int] = field(default_factory=dict)  # pixels each owner had when it was drawn
    shown: dict[int, int] = field(default_factory=dict)  # pixels it still shows
    bottles: list[Placed] = field(default_factory=list)


def draw_scene(rng: Random, width: int, height: int) -> tuple[NDArray[np.uint8], list[Placed]]:
    """A picture (RGB) and the bottles in it."""
    scene = _Scene(pick(rng, BACKGROUNDS)(rng, width, height), np.zeros((height, width), np.int32))
    layout = rng.random()
    count = 0 if layout < NO_BOTTLE else int(rng.integers(4, 11))
    for _ in range(int(rng.integers(0, 4)) if count else int(rng.integers(3, 9))):
        _scatter(rng, scene, None)
    if layout > 0.6:
        _line_up(rng, scene, count)
    else:
        for _ in range(count):
            _scatter(rng, scene, pick(rng, LABELS))
    for _ in range(int(rng.integers(0, 2))):
        _scatter(rng, scene, None)
    return _photograph(rng, scene.image), scene.bottles


def object_share(rng: Random) -> float:
    """Height as a share of the picture's longer side: 3 % to 40 %, mostly 10 % to 30 %."""
    low, high = SIZES[int(np.searchsorted(SIZES_UP_TO, rng.random()))]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _scatter(rng: Random, scene: _Scene, label: str | None) -> None:
    """One thing anywhere; a few tries to find a place that hides nothing too much."""
    height, width = scene.owner.shape
    size = object_share(rng) * max(width, height)
    if label is None:
        sprite = pick(rng, DISTRACTORS)(rng, max(int(size * rng.uniform(0.2, 0.6) * SUPERSAMPLING), 12))
    else:
        sprite = bottle(rng, max(int(size * SUPERSAMPLING), 24), label)
    kind = rng.random()
    angle = rng.normal(0, 5) if kind < 0.78 else rng.uniform(-30, 30) if kind < 0.96 else rng.uniform(-180, 180)
    for _ in range(12):
        centre = rng.uniform(0, width), rng.uniform(0, height)
        if _place(scene, sprite, label, centre, angle):
            return


def _line_up(rng: Random, scene: _Scene, count: int) -> None:
    """A row of like-sized bottles, close together or overlapping, as on a shelf or a belt."""
    height, width = scene.owner.shape
    size = float(np.clip(object_share(rng), 0.15, 0.33)) * max(width, height)
    floor = rng.uniform(size, height) if size < height else height
    x = rng.uniform(0.2, 0.5) * size + rng.uniform(0, 0.25) * width
    for _ in range(count + 3):
        own = size * rng.uniform(0.85, 1.1)
        label = pick(rng, LABELS)
        sprite = bottle(rng, max(int(own * SUPERSAMPLING), 24), label)
        _place(scene, sprite, label, (x, floor - own / 2), rng.normal(0, 3))
        x += size * rng.uniform(0.34, 0.55)
        if x > width:
            return


def _place(scene: _Scene, sprite: Sprite, label: str | None, centre: tuple[float, float], angle: float) -> bool:
    """Draw a sprite unless it would hide another bottle too much or lie outside; True when drawn."""
    height, width = scene.owner.shape
    matrix = _affine(sprite, centre, angle)
    left, top, right, bottom = _bounds(sprite, matrix)
    inside = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    area = (right - left) * (bottom - top)
    if (inside[2] - inside[0]) * (inside[3] - inside[1]) < 0.8 * area or inside[2] <= inside[0]:
        return False
    x0, y0, x1, y1 = int(inside[0]), int(inside[1]), int(np.ceil(inside[2])), int(np.ceil(inside[3]))
    matrix[:, 2] -= (x0, y0)
    size = (x1 - x0, y1 - y0)
    alpha = cv2.warpAffine(sprite.alpha, matrix, size, flags=cv2.INTER_LINEAR)
    cap = cv2.warpAffine(_cap_mask(sprite), matrix, size, flags=cv2.INTER_LINEAR) > 0.5
    owner = scene.owner[y0:y1, x0:x1]
    mask = alpha > 0.5
    if not mask.any() or _hides(scene, owner[mask]):
        return False
    if label is not None and cap.sum() < 0.9 * sprite.alpha[: sprite.cap_end].sum() / SUPERSAMPLING**2:
        return False  # the cap must lie in the picture: it decides the class
    rgb = cv2.warpAffine(sprite.rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    view = scene.image[y0:y1, x0:x1]
    view += (rgb - view) * alpha[..., None]
    _own(scene, owner, mask, cap & mask)
    if label is not None:
        scene.bottles.append(Placed(label, inside))
    return True


def _affine(sprite: Sprite, centre: tuple[float, float], angle: float) -> NDArray[np.float64]:
    height, width = sprite.alpha.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1 / SUPERSAMPLING)
    matrix[:, 2] += np.asarray(centre) - (width / 2, height / 2)
    return np.asarray(matrix, np.float64)


def _bounds(sprite: Sprite, matrix: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """The tight box of what is drawn, from each row's outermost pixels."""
    rows = np.arange(len(sprite.alpha))
    first = np.argmax(sprite.alpha > 0.5, axis=1)
    last = sprite.alpha.shape[1] - np.argmax(sprite.alpha[:, ::-1] > 0.5, axis=1)
    points = np.concatenate([np.stack([x, y], 1) for x in (first, last) for y in (rows, rows + 1)])
    turned = points @ matrix[:, :2].T + matrix[:, 2]
    (left, top), (right, bottom) = turned.min(0), turned.max(0)
    return float(left), float(top), float(right), float(bottom)


def _cap_mask(sprite: Sprite) -> Floats:
    mask = np.zeros_like(sprite.alpha)
    mask[: sprite.cap_end] = sprite.alpha[: sprite.cap_end]
    return mask


def _hides(scene: _Scene, covered: NDArray[np.int32]) -> bool:
    """Whether covering these pixels leaves too little of any bottle or cap."""
    owners, counts = np.unique(covered[covered > 0], return_counts=True)
    return any(scene.shown[o] - n < MIN_VISIBLE * scene.drawn[o] for o, n in zip(owners, counts, strict=True))


def _own(scene: _Scene, owner: NDArray[np.int32], mask: NDArray[np.bool_], cap: NDArray[np.bool_]) -> None:
    for old, count in zip(*np.unique(owner[mask], return_counts=True), strict=True):
        if old:
            scene.shown[int(old)] -= int(count)
    body = 2 * (len(scene.drawn) // 2 + 1)
    owner[mask] = body
    owner[cap] = body + 1
    for key, count in ((body, int((mask & ~cap).sum())), (body + 1, int(cap.sum()))):
        scene.drawn[key] = scene.shown[key] = count


def _colour(rng: Random) -> Floats:
    """Any colour, more often a dull one, as rooms have."""
    colour = rng.uniform(30, 235, 3)
    dull = rng.uniform(0.1, 0.85)
    return np.asarray((colour * (1 - dull) + colour.mean() * dull) * rng.uniform(0.6, 1.15), np.float32)


def _noise(rng: Random, width: int, height: int, cells: int) -> Floats:
    """Smooth noise in 0..1, about `cells` blobs across."""
    small = rng.random((max(cells * height // width, 2), cells)).astype(np.float32)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _gradient(rng: Random, width: int, height: int) -> Floats:
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    turn = rng.uniform(0, 2 * np.pi)
    mix = (np.clip(0.5 + 0.5 * (x * np.cos(turn) + y * np.sin(turn)), 0, 1)[..., None]).astype(np.float32)
    return np.asarray(_colour(rng) * (1 - mix) + _colour(rng) * mix, np.float32)


def _texture(rng: Random, width: int, height: int) -> Floats:
    grain = sum(_noise(rng, width, height, cells) / 2**i for i, cells in enumerate((4, 9, 24, 70)))
    mix = np.clip(np.asarray(grain, np.float32) - 0.4, 0, 1)[..., None]
    return np.asarray(_colour(rng) * (1 - mix) + _colour(rng) * mix, np.float32)


def _wood(rng: Random, width: int, height: int) -> Floats:
    rings = _noise(rng, width, height, 3) * rng.uniform(5, 25) + np.linspace(0, rng.uniform(5, 60), height)[:, None]
    tone = (0.75 + 0.2 * np.sin(rings * 2) + 0.08 * _noise(rng, width, height, 60)).astype(np.float32)
    brown = np.array([rng.uniform(120, 215), rng.uniform(80, 150), rng.uniform(40, 100)], np.float32)
    return np.asarray(brown * tone[..., None], np.float32)


def _shelves(rng: Random, width: int, height: int) -> Floats:
    image = _gradient(rng, width, height) * 0.8
    board, step = _colour(rng), int(rng.uniform(0.25, 0.5) * height)
    for y in range(int(rng.integers(5, step)), height, step):
        thick = int(rng.integers(4, 14))
        image[y : y + thick] = board
        image[y + thick : y + thick + 6] *= 0.6
    return image


def _tiles(rng: Random, width: int, height: int) -> Floats:
    step = int(rng.integers(24, 90))
    x, y = np.meshgrid(np.arange(width) // step, np.arange(height) // step)
    tone = np.random.default_rng(int(rng.integers(2**31))).uniform(0.75, 1.1, (int(y.max()) + 1, int(x.max()) + 1))
    image = _colour(rng) * tone[y, x][..., None].astype(np.float32)
    joint = (np.arange(width) % step < 2)[None, :] | (np.arange(height) % step < 2)[:, None]
    image[joint] *= rng.uniform(0.5, 1.5)
    return image


def _clutter(rng: Random, width: int, height: int) -> Floats:
    """Shapes of every colour, out of focus."""
    image = np.ascontiguousarray(_gradient(rng, width, height))
    for _ in range(int(rng.integers(12, 50))):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (int(rng.uniform(4, 70)), int(rng.uniform(4, 50)))
        colour = [float(v) for v in _colour(rng)]
        if rng.random() < 0.5:
            cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            corners = cv2.boxPoints((centre, axes, float(rng.uniform(0, 180))))
            cv2.fillConvexPoly(image, corners.astype(np.int32), colour)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.8, 5))), np.float32)


BACKGROUNDS: tuple[Callable[[Random, int, int], Floats], ...] = (_gradient, _texture, _wood, _shelves, _tiles, _clutter)


def _photograph(rng: Random, image: Floats) -> NDArray[np.uint8]:
    """Light falling from somewhere, colour cast, gamma, blur, noise."""
    height, width = image.shape[:2]
    light = 0.8 + 0.4 * _noise(rng, width, height, 2)
    cast = light[..., None] * rng.uniform(0.92, 1.08, 3)
    gamma = np.exp(rng.normal(0, 0.18))
    image = np.asarray(255 * np.clip(image * cast / 255, 0, 1) ** gamma, np.float32)
    if rng.random() < 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.0))), np.float32)
    elif rng.random() < 0.3:
        image = np.asarray(cv2.blur(image, pick(rng, ((3, 1), (1, 3), (4, 1)))), np.float32)
    grain = rng.standard_normal((height, width, 1), dtype=np.float32) * np.float32(rng.uniform(0, 7))
    return np.clip(image + grain, 0, 255).astype(np.uint8)
