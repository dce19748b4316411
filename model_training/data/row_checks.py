"""What makes a box, a ring, a label or an image name usable; each answers with the reason, or None when all is well.

Shared by every format, so that the same fault reads the same wherever it comes from. Knows nothing about files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

IMAGE_FORMATS = ("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "tif", "tiff", "webp")
EDGES = ("left", "top", "right", "bottom")


def label_fault(label: object) -> str | None:
    if isinstance(label, str) and label.strip():
        return None
    return f"label: expected a text that is not blank, found {shown(label)}"


def number_fault(value: object) -> str | None:
    """Reason why `value` is not a fraction in [0, 1]; booleans and texts are not numbers here."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"expected a number, found {shown(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"expected a finite number, found {value}"
    return None if 0 <= value <= 1 else f"expected a fraction in [0, 1], found {shown(value)}"


def box_faults(edges: Sequence[object], names: Sequence[str] = EDGES) -> list[str]:
    """Reasons why left, top, right, bottom are no box; empty when they are one."""
    faults = [f"{name}: {fault}" for name, value in zip(names, edges, strict=True) if (fault := number_fault(value))]
    if faults:
        return faults
    left, top, right, bottom = (float(edge) for edge in edges)  # type: ignore[arg-type]
    if left >= right:
        faults.append(f"no extent: expected {names[0]} < {names[2]}, found {left:.6g} and {right:.6g}")
    if top >= bottom:
        faults.append(f"no extent: expected {names[1]} < {names[3]}, found {top:.6g} and {bottom:.6g}")
    return faults


def ring_fault(ring: object) -> str | None:
    """Reason why `ring` is not at least three points written x, y, x, y, …"""
    if not isinstance(ring, (list, tuple)):
        return f"expected a list of numbers x, y, x, y, …, found {shown(ring)}"
    if len(ring) < 6 or len(ring) % 2:
        return f"expected at least 3 points x, y, found {len(ring)} numbers"
    return next((fault for value in ring if (fault := number_fault(value))), None)


def format_fault(name: str | None) -> str | None:
    """`name` is a file's ending without the dot, or None where nothing tells the format."""
    if name is None or name.lower() in IMAGE_FORMATS:
        return None
    return f"image format: expected one of {', '.join(IMAGE_FORMATS)}, found {shown(name)}"


def shown(value: object, limit: int = 60) -> str:
    """`value` as it may stand in a message: short, on one line."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
