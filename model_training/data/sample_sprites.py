"""Bottles and the things that are easily taken for one, each as a shaded picture with an alpha channel.

Every shape is a body of revolution: a half-width for each row, shaded as a cylinder. Knows nothing of scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Random = np.random.Generator
Colour = tuple[float, float, float]

LABELS = ("cap_white", "cap_yellow", "no_cap")

GLASS: tuple[Colour, ...] = (
    (70, 120, 60),
    (150, 190, 200),
    (60, 75, 45),
    (95, 60, 35),
    (60, 90, 150),
    (175, 60, 60),
    (205, 215, 215),
    (120, 70, 120),
    (40, 45, 50),
)
PLASTIC: tuple[Colour, ...] = ((235, 235, 230), (225, 195, 60), (210, 120, 140), (80, 160, 160), (220, 210, 190))
LIQUIDS: tuple[Colour, ...] = (
    (235, 230, 220),
    (225, 180, 50),
    (200, 100, 30),
    (90, 30, 25),
    (120, 170, 70),
    (150, 190, 210),
    (60, 30, 20),
)
PAPER: tuple[Colour, ...] = (
    (240, 240, 240),
    (235, 205, 60),
    (200, 40, 40),
    (40, 80, 160),
    (40, 130, 70),
    (30, 30, 30),
    (230, 150, 60),
)


@dataclass(frozen=True)
class Sprite:
    """`rgb` (h, w, 3) in 0..255, `alpha` (h, w) in 0..1; the rows above `cap_end` are what decides the class."""

    rgb: Floats
    alpha: Floats
    cap_end: int


@dataclass
class _Canvas:
    """Coordinates of a body of revolution: `t` runs 0..1 downwards, `u` -1..1 across its width in that row."""

    t: Floats
    u: Floats
    rgb: Floats
    alpha: Floats

    def band(self, start: float, end: float, colour: Colour | Floats, strength: float = 1.0, half: float = 1.0) -> None:
        """Paint the rows from `start` to `end`, as wide as the share `half` of the body."""
        inside = ((self.t >= start) & (self.t < end))[:, None] & (np.abs(self.u) <= half)
        self.rgb[inside] = self.rgb[inside] * (1 - strength) + np.asarray(colour, np.float32) * strength


def pick(rng: Random, values: Sequence[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def vary(rng: Random, colour: Colour, amount: float) -> Floats:
    """The same colour, a little lighter or darker and a little off."""
    return np.clip(
        np.asarray(colour) * rng.uniform(1 - amount / 255, 1.05) + rng.normal(0, amount / 3, 3), 0, 255
    ).astype(np.float32)


def cap_colour(rng: Random, label: str) -> Floats:
    """White caps lean to any hue a little; yellow ones run from lemon to almost orange."""
    if label == "cap_white":
        return (rng.uniform(215, 250) + rng.uniform(-8, 8, 3)).astype(np.float32)
    return np.array([rng.uniform(215, 250), rng.uniform(165, 205), rng.uniform(15, 65)], np.float32)


def bottle(rng: Random, height: int, label: str) -> Sprite:
    """A standing bottle, its cap (or bare mouth) at the top; small ones are stout so that the cap stays visible."""
    stout = 1.0 if height < 60 else rng.uniform(0.0, 1.0)
    radius = rng.uniform(0.13, 0.17) + 0.05 * stout
    neck = radius * (rng.uniform(0.4, 0.5) + 0.12 * stout)
    cap_end = rng.uniform(0.17, 0.21) + 0.03 * stout
    neck_end = cap_end + rng.uniform(0.02, 0.08)
    shoulder = neck_end + rng.uniform(0.08, 0.2)
    top = neck * rng.uniform(1.2, 1.4) if label != "no_cap" else neck * 0.92
    waist = radius * (1 if rng.random() < 0.6 else rng.uniform(0.8, 0.95))
    profile = [
        (0, top * 0.93),
        (0.012, top),
        (cap_end, top),
        (cap_end + 0.004, neck),
        (neck_end, neck),
        (neck_end + (shoulder - neck_end) * 0.5, neck + (radius - neck) * rng.uniform(0.55, 0.8)),
        (shoulder, radius),
        ((shoulder + 1) / 2, waist),
        (0.97, radius),
        (1, radius * 0.88),
    ]
    canvas = _revolve(height, profile)
    _fill_body(rng, canvas, cap_end, shoulder)
    _shade(rng, canvas, glossy=rng.uniform(0.2, 0.9))
    if label == "no_cap":
        _open_mouth(rng, canvas, cap_end)
    else:
        _put_cap(rng, canvas, cap_end, label)
    return _sprite(canvas, int(cap_end * height))


def can(rng: Random, height: int) -> Sprite:
    """A drinks can or canister: no neck, a bright rim."""
    radius = rng.uniform(0.24, 0.34)
    canvas = _revolve(height, [(0, radius * 0.85), (0.06, radius), (0.94, radius), (1, radius * 0.85)])
    canvas.rgb[:] = vary(rng, pick(rng, PAPER), 30)
    for _ in range(int(rng.integers(1, 4))):
        start = rng.uniform(0.1, 0.8)
        canvas.band(start, start + rng.uniform(0.03, 0.25), vary(rng, pick(rng, PAPER), 25))
    canvas.band(0, rng.uniform(0.04, 0.08), (200, 200, 205))
    _shade(rng, canvas, glossy=0.6)
    return _sprite(canvas, 0)


def loose_cap(rng: Random, height: int) -> Sprite:
    """A cap without its bottle, in the two colours that matter."""
    radius = rng.uniform(0.5, 0.8)
    height = max(height * 2 // 3, 8)
    canvas = _revolve(height, [(0, radius * 0.92), (0.1, radius), (1, radius)])
    _put_cap(rng, canvas, 1.0, pick(rng, LABELS[:2]))
    return _sprite(canvas, 0)


def ball(rng: Random, height: int) -> Sprite:
    """A ball or a lamp: white, yellow or any colour."""
    steps = np.linspace(0, 1, 24)
    canvas = _revolve(height, [(t, max(0.5 * np.sqrt(max(1 - (2 * t - 1) ** 2, 0)), 0.01)) for t in steps])
    colour = cap_colour(rng, pick(rng, LABELS[:2])) if rng.random() < 0.6 else vary(rng, pick(rng, PAPER), 30)
    canvas.rgb[:] = colour
    canvas.rgb *= (1.15 - 0.6 * canvas.t)[:, None, None]
    _shade(rng, canvas, glossy=0)
    return _sprite(canvas, 0)


def box(rng: Random, height: int) -> Sprite:
    """A carton: flat, printed, sometimes with a white or yellow top stripe."""
    half = rng.uniform(0.2, 0.7)
    canvas = _revolve(height, [(0, half), (1, half)])
    canvas.rgb[:] = vary(rng, pick(rng, PAPER + PLASTIC), 35)
    for _ in range(int(rng.integers(0, 4))):
        start = rng.uniform(0, 0.9)
        canvas.band(start, start + rng.uniform(0.05, 0.3), vary(rng, pick(rng, PAPER), 25), half=rng.uniform(0.3, 1))
    side = canvas.u > rng.uniform(0.2, 0.9)
    canvas.rgb[side] *= rng.uniform(0.6, 0.85)
    return _sprite(canvas, 0)


DISTRACTORS = (can, loose_cap, ball, box)


def _revolve(height: int, profile: Sequence[tuple[float, float]]) -> _Canvas:
    """`profile` gives half-widths as shares of the height at places 0..1 from the top."""
    t = ((np.arange(height) + 0.5) / height).astype(np.float32)
    half = np.interp(t, [p for p, _ in profile], [r for _, r in profile]).astype(np.float32) * height
    width = int(2 * np.ceil(half.max())) + 2
    across = np.arange(width, dtype=np.float32) + 0.5 - width / 2
    u = across[None, :] / half[:, None]
    alpha = np.clip(half[:, None] - np.abs(across)[None, :] + 0.5, 0, 1)
    return _Canvas(t, u, np.zeros((height, width, 3), np.float32), alpha)


def _fill_body(rng: Random, canvas: _Canvas, cap_end: float, shoulder: float) -> None:
    """Glass with a liquid in it or opaque plastic, then perhaps a printed label."""
    if rng.random() < 0.2:
        canvas.rgb[:] = vary(rng, pick(rng, PLASTIC), 30)
    else:
        glass = vary(rng, pick(rng, GLASS), 35)
        canvas.rgb[:] = glass
        level = rng.uniform(cap_end, 0.9)
        canvas.band(level, 0.96, vary(rng, pick(rng, LIQUIDS), 30), rng.uniform(0.3, 0.85), half=0.93)
        canvas.band(level, level + 0.008, glass * 1.3, 0.6, half=0.9)
    if rng.random() < 0.6:
        start = rng.uniform(shoulder, 0.6)
        _print_label(rng, canvas, start, min(start + rng.uniform(0.12, 0.4), 0.95))


def _print_label(rng: Random, canvas: _Canvas, start: float, end: float) -> None:
    half = 1.0 if rng.random() < 0.6 else rng.uniform(0.6, 0.85)
    canvas.band(start, end, vary(rng, pick(rng, PAPER), 30), half=half)
    ink = vary(rng, pick(rng, PAPER), 30)
    for _ in range(int(rng.integers(1, 5))):
        line = rng.uniform(start, end)
        canvas.band(line, min(line + rng.uniform(0.01, 0.06), end), ink, half=half * rng.uniform(0.3, 0.9))


def _shade(rng: Random, canvas: _Canvas, glossy: float) -> None:
    """Round as a cylinder: darker at the edges, one or two highlights from the same side."""
    side = np.clip(1 - canvas.u**2, 0, 1)
    light = rng.uniform(-0.6, 0.6)
    canvas.rgb *= (0.5 + 0.5 * np.sqrt(side) + 0.15 * canvas.u * np.sign(light))[..., None]
    shine = np.exp(-(((canvas.u - light) / rng.uniform(0.06, 0.16)) ** 2)) * 110 * glossy
    canvas.rgb += shine[..., None]


def _put_cap(rng: Random, canvas: _Canvas, end: float, label: str) -> None:
    """Opaque, ridged, with a darker rim below."""
    rows = canvas.t < end
    u = np.clip(canvas.u[rows], -1, 1)
    shade = 0.62 + 0.38 * np.sqrt(1 - u**2) + rng.uniform(-0.08, 0.08) * u
    shade *= 1 + 0.06 * np.sin(np.arcsin(u) * int(rng.integers(10, 24)))
    shade *= np.where(canvas.t[rows] > end * 0.84, 0.8, 1.0)[:, None]
    shade *= np.where(canvas.t[rows] < end * 0.15, 1.06, 1.0)[:, None]
    canvas.rgb[rows] = cap_colour(rng, label) * shade[..., None]


def _open_mouth(rng: Random, canvas: _Canvas, end: float) -> None:
    """A bare thread: the dark mouth seen from a little above, two rings of glass."""
    mouth = (((canvas.t - end * 0.2) / (end * 0.2))[:, None] ** 2 + (canvas.u / 0.8) ** 2) < 1
    canvas.rgb[mouth] *= rng.uniform(0.15, 0.4)
    for place in (0.55, 0.78):
        ring = (canvas.t > end * place) & (canvas.t < end * (place + 0.08))
        canvas.rgb[ring] *= rng.uniform(0.6, 0.8)


def _sprite(canvas: _Canvas, cap_end: int) -> Sprite:
    return Sprite(np.clip(canvas.rgb, 0, 255), canvas.alpha, cap_end)
