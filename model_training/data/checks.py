"""What a person should know about labelled images before training: faults, duplicates, class counts, sizes.

Knows nothing about formats, workspaces or printing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from model_training.data.duplicates import near_pairs, same
from model_training.data.hashing import distance
from model_training.data.importing import Locate, Repair, add_pictures, take_rows
from model_training.data.parts import PARTS
from model_training.data.problems import Problem
from model_training.data.rows import Box, Row
from model_training.data.scanning import Picture, Progress, scan

EDGES = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0)  # upper ends of the size classes: share of the image's longer side
TINY_PIXELS = 8  # a box whose shorter side is below this at the training size is hardly learned


@dataclass(frozen=True)
class Alike:
    """Images that are the same (`distance` 0 and the same bytes) or look so; `across` when their parts differ."""

    files: tuple[str, ...]
    parts: tuple[str, ...]
    distance: int | None = None  # bits of 256; None: the same bytes

    @property
    def across(self) -> bool:
        return len(set(self.parts)) > 1


@dataclass
class Report:
    """`problems` holds one line for each bad row; everything else is about the good ones."""

    images: int = 0
    boxes: int = 0
    crowds: int = 0
    without_objects: int = 0
    parts: dict[str, int] = field(default_factory=dict)  # images
    classes: dict[str, dict[str, int]] = field(default_factory=dict)  # label: {"images", "objects", each part: objects}
    sizes: dict[str, int] = field(default_factory=dict)  # boxes by their longer side's share of the image's
    image_size: int = 0
    tiny: int = 0  # boxes below TINY_PIXELS at `image_size`
    exact: list[Alike] = field(default_factory=list)
    near: list[Alike] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        value = asdict(self)
        for key, alikes in (("exact", self.exact), ("near", self.near)):
            value[key] = [asdict(alike) | {"across": alike.across} for alike in alikes]
        return value


def check_rows(
    items: Iterable[Row | Problem],
    locate: Locate,
    *,
    part_of: Callable[[Row], str],
    image_size: int,
    progress: Progress | None = None,
) -> Report:
    """Read every row and decode every image. `part_of` is asked when all rows are read; '' is no part."""
    taken = take_rows(items, locate, Repair())
    found = scan([path for _, path in taken.rows], progress=progress)
    result = add_pictures(taken, found)
    rows = [row for row, _ in result.rows]
    hashes = {picture.sha256: picture.phash for picture in found.values() if isinstance(picture, Picture)}
    return report_on(rows, [part_of(row) for row in rows], hashes, image_size=image_size, problems=result.problems)


def report_on(
    rows: Sequence[Row],
    parts: Sequence[str],
    fingerprints: Mapping[str, str],
    *,
    image_size: int,
    problems: Sequence[str] = (),
) -> Report:
    """`parts` has one part for each row, '' where there is none; rows carry content hash and size."""
    report = Report(len(rows), image_size=image_size, problems=list(problems))
    report.boxes = sum(len(row.boxes) for row in rows)
    report.crowds = sum(box.is_crowd for row in rows for box in row.boxes)
    report.without_objects = sum(not row.labels for row in rows)
    report.parts = {part: list(parts).count(part) for part in PARTS} if any(parts) else {}
    report.classes = _classes(rows, parts)
    report.sizes = _sizes(rows)
    report.tiny = sum(_pixels(row, box, image_size) < TINY_PIXELS for row in rows for box in row.boxes)
    report.exact = [_alike(rows, parts, group, None) for group in same(row.sha256 for row in rows)]
    report.near = _near(rows, parts, fingerprints)
    return report


def _classes(rows: Sequence[Row], parts: Sequence[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for row, part in zip(rows, parts, strict=True):
        for label in row.labels:
            counts.setdefault(label, Counter()).update(["objects", part] if part else ["objects"])
        for label in set(row.labels):
            counts[label]["images"] += 1
    shown = ("images", "objects", *(PARTS if any(parts) else ()))
    return {label: {key: counts[label][key] for key in shown} for label in sorted(counts)}


def _sizes(rows: Sequence[Row]) -> dict[str, int]:
    found: Counter[float] = Counter()
    for row in rows:
        for box in row.boxes:
            found[next(edge for edge in EDGES if _share(row, box) <= edge + 1e-9)] += 1
    return {_named(edge): found[edge] for edge in EDGES}


def _named(edge: float) -> str:
    below = max((e for e in EDGES if e < edge), default=0.0)
    return f"{below:.0%} - {edge:.0%}".replace("%", " %")


def _share(row: Row, box: Box) -> float:
    """The box's longer side as a share of the image's longer side."""
    width, height = row.width or 1, row.height or 1
    return max((box.bottom_x - box.top_x) * width, (box.bottom_y - box.top_y) * height) / max(width, height)


def _pixels(row: Row, box: Box, image_size: int) -> float:
    """The box's shorter side at the training size."""
    width, height = row.width or 1, row.height or 1
    shorter = min((box.bottom_x - box.top_x) * width, (box.bottom_y - box.top_y) * height)
    return shorter * image_size / max(width, height)


def _near(rows: Sequence[Row], parts: Sequence[str], fingerprints: Mapping[str, str]) -> list[Alike]:
    """Pairs that look alike, the same bytes once: those are listed as exact."""
    first: dict[str, int] = {}
    for place, row in enumerate(rows):
        if row.sha256 in fingerprints:
            first.setdefault(row.sha256, place)
    places = list(first.values())
    hashes = [fingerprints[rows[place].sha256] for place in places]
    pairs = near_pairs(hashes)
    return [_alike(rows, parts, (places[i], places[j]), distance(hashes[i], hashes[j])) for i, j in pairs]


def _alike(rows: Sequence[Row], parts: Sequence[str], group: Sequence[int], apart: int | None) -> Alike:
    return Alike(tuple(rows[i].file_name for i in group), tuple(parts[i] for i in group), apart)
