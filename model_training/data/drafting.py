"""One image while its annotation is read: objects are added one by one, then it is a Row, or every Problem it has.

What readers share: the trimming of rounding at the image's edge, the checks, where they lead. Knows no format.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

from model_training.data.problems import Problem
from model_training.data.row_checks import box_faults, label_fault, ring_fault
from model_training.data.rows import Box, Row

Edges = tuple[float, float, float, float]
FRACTION_SLACK = (2e-6, 2e-6)  # what six decimals of a centre and a side can add up to
HALF_PIXEL = 0.5


@dataclass
class Found:
    """What a reader says beside its rows, complete when its last row has been taken.

    `parts`: file name -> train, validation or test, as far as the data has parts of its own. `notes`: what was passed
    over that is no labelled image, for people to read.
    """

    parts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _images: set[str] = field(default_factory=set)

    def name(self, wanted: str, image: str, other: str) -> str | None:
        """A file name that no other image has: `wanted`, else `other`; None for an image that has one already.

        So a/1.jpg and b/1.jpg never become one.
        """
        if image in self._images:
            return None
        candidates = chain((wanted, other), (f"{number}/{other}" for number in count(2)))
        name = next(name for name in candidates if name not in self._names)
        self._names.add(name)
        self._images.add(image)
        return name

    def claim(self, draft: Draft, root: Path, part: str | None = None) -> None:
        """Give the draft a file name of its own and its part; an image that comes again is a fault."""
        if draft.image is None:
            return
        below = draft.image.relative_to(root).as_posix() if draft.image.is_relative_to(root) else draft.file_name
        name = self.name(draft.file_name, str(draft.image), below)
        if name is None:
            draft.fault(f"{draft.file_name} is annotated twice; its labels must stand together")
            return
        draft.file_name = name
        if part:
            self.parts[name] = part

    def has(self, image: Path) -> bool:
        return str(image) in self._images


@dataclass
class Draft:
    """`slack`: how far, in fractions of width and height, an edge may lie outside and is taken to be on the edge."""

    file: str  # the annotation, for problems
    image: Path | None = None
    file_name: str = ""
    width: int | None = None
    height: int | None = None
    slack: tuple[float, float] = FRACTION_SLACK
    boxes: list[Box] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    kind: str = ""  # "" = boxes or polygons, as the boxes say
    faults: list[tuple[int, str]] = field(default_factory=list)
    only_edges: bool = True  # no fault so far but that of edges, which an import may repair

    def fault(self, reason: str, line: int = 0) -> None:
        self.faults.append((line, reason))
        self.only_edges = False

    def add_box(self, label: str, edges: Edges, *, line: int = 0, where: str = "", crowd: bool = False) -> None:
        left, top, right, bottom = self._trimmed(edges)
        self._add(Box(label, left, top, right, bottom, is_crowd=crowd), line, where)

    def add_rings(
        self,
        label: str,
        rings: Sequence[Sequence[float]],
        *,
        edges: Edges | None = None,
        line: int = 0,
        where: str = "",
        crowd: bool = False,
    ) -> None:
        """An object with a mask; its box is `edges`, or what encloses the rings."""
        trimmed = tuple(map(self._trimmed, rings))
        faults = [f"ring {number}: {fault}" for number, ring in enumerate(trimmed, 1) if (fault := ring_fault(ring))]
        for fault in faults or ([] if trimmed else ["expected a ring of at least 3 points, found none"]):
            self.fault(_at(where, label, f"polygon, {fault}"), line)
        if faults or not trimmed:
            return
        left, top, right, bottom = self._trimmed(edges or bounds(trimmed))
        self._add(Box(label, left, top, right, bottom, is_crowd=crowd, polygon=trimmed), line, where)

    def finish(self) -> Iterator[Row | Problem]:
        """The row, or all that is wrong with it."""
        row = self._row()
        repairable = row if self.only_edges else None
        if not self.faults and row:
            yield row
        yield from (Problem(self.file, line, reason, repairable) for line, reason in self.faults)

    def _trimmed(self, values: Sequence[float]) -> tuple[float, ...]:
        """x, y, x, y, … with what lies just outside put on the edge."""
        return tuple(_trim(value, self.slack[at % 2]) for at, value in enumerate(values))

    def _add(self, box: Box, line: int, where: str) -> None:
        edges = (box.top_x, box.top_y, box.bottom_x, box.bottom_y)
        if fault := label_fault(box.label):
            self.fault(_at(where, "", fault), line)
        if reasons := box_faults(edges):
            self.faults.append((line, _at(where, box.label, "; ".join(reasons))))
            self.only_edges &= all(map(math.isfinite, edges)) and not box.polygon
        self.boxes.append(box)

    def _row(self) -> Row | None:
        if self.image is None:
            return None
        kind = self.kind or ("polygons" if any(box.polygon for box in self.boxes) else "boxes")
        suffix = self.image.suffix[1:].lower() or None
        return Row(
            str(self.image), tuple(self.boxes), self.classes, kind, self.width, self.height, suffix, self.file_name
        )


def bounds(rings: Sequence[Sequence[float]]) -> Edges:
    """Left, top, right, bottom around every point of `rings`."""
    x = [value for ring in rings for value in ring[0::2]]
    y = [value for ring in rings for value in ring[1::2]]
    return min(x), min(y), max(x), max(y)


def half_pixel(width: int, height: int) -> tuple[float, float]:
    """Slack of formats that count pixels: tools round a box at the edge to either side."""
    return HALF_PIXEL / width, HALF_PIXEL / height


def _trim(value: float, slack: float) -> float:
    if -slack <= value < 0:
        return 0.0
    return 1.0 if 1 < value <= 1 + slack else value


def _at(where: str, label: str, reason: str) -> str:
    named = f"{where} ({label})" if where and label else where or label
    return f"{named}: {reason}" if named else reason
