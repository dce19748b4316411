"""What is wrong with a row, and how a set of problems becomes one error. Knows nothing about any format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model_training.data.rows import Row
from scoring.errors import DataError


@dataclass(frozen=True)
class Problem:
    """A row that cannot be used. `line` counts from 1; 0 where the format has no lines worth naming.

    `row` is the image with every object as it was written, there only when nothing but edges of boxes is at fault: an
    import may leave out or clip those boxes when it is asked to. All problems of one row carry the same object.
    """

    file: str
    line: int
    reason: str
    row: Row | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


def separate(items: Iterable[Row | Problem]) -> tuple[list[Row], list[Problem]]:
    rows: list[Row] = []
    problems: list[Problem] = []
    for item in items:
        if isinstance(item, Row):
            rows.append(item)
        else:
            problems.append(item)
    return rows, problems


def rows_or_raise(items: Iterable[Row | Problem], source: str) -> list[Row]:
    """Raises: DataError that carries every problem, when there is one."""
    rows, problems = separate(items)
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise DataError(
            f"{source}: expected every row to be usable, found {count} (and {len(rows)} good rows)",
            hint="correct the lines listed, or leave those images out with --skip-bad-rows",
            problems=[str(problem) for problem in problems],
        )
    return rows
