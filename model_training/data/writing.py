"""What writers of formats share: the refusals and the notes about what a format cannot hold. Knows no format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model_training.data.rows import Box, Row
from scoring.errors import DataError


def require_boxes(rows: Iterable[Row], format: str) -> None:
    """Raises: DataError where a row carries classes instead of boxes."""
    require_kinds(rows, ("boxes", "polygons"), format)


def require_kinds(rows: Iterable[Row], kinds: Sequence[str], format: str) -> None:
    """Raises: DataError for the first row of a kind that `format` cannot hold."""
    for row in rows:
        if row.kind not in kinds:
            raise DataError(
                f"{format} holds {' and '.join(kinds)}, found {row.kind}: {row.file_name}",
                hint="export as jsonl, which holds every kind of label",
            )


def size_of(row: Row) -> tuple[int, int]:
    """Raises: DataError where the row does not say its image's size."""
    if row.width and row.height:
        return row.width, row.height
    raise DataError(f"{row.file_name}: expected the image's width and height, found none", hint="import the data first")


def lost(count: int, what: str, format: str) -> list[str]:
    """A note that `format` cannot hold `what`, when there is any."""
    return [f"{format} cannot hold {what}: left out {count} times"] if count else []


def lost_masks(rows: Iterable[Row], format: str) -> list[str]:
    return lost(sum(bool(box.polygon) for row in rows for box in row.boxes), "polygons (boxes are kept)", format)


def lost_crowds(rows: Iterable[Row], format: str) -> list[str]:
    return lost(sum(box.is_crowd for row in rows for box in row.boxes), "the crowd flag (boxes are kept)", format)


def lost_rings(rows: Iterable[Row], format: str) -> list[str]:
    """For formats that hold one ring an object."""
    return lost(
        sum(len(box.polygon) - 1 for row in rows for box in row.boxes if box.polygon),
        "more than one ring an object (the largest is kept)",
        format,
    )


def largest_ring(box: Box) -> tuple[float, ...]:
    """The ring of the largest area, empty for a plain box."""
    return max(box.polygon, key=ring_area, default=())


def ring_area(ring: Sequence[float]) -> float:
    x, y = ring[0::2], ring[1::2]
    turned = zip(x, y, [*x[1:], x[0]], [*y[1:], y[0]], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for x0, y0, x1, y1 in turned)) / 2
