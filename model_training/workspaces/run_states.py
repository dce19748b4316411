"""The words that a run's status is said in (Azure ML's), and which may follow which. Knows no run."""

from __future__ import annotations

from pathlib import Path

from scoring.errors import ConflictError, UsageError

ENDED = ("Completed", "Failed", "Canceled")
STATUSES = ("NotStarted", "Running", "CancelRequested", *ENDED)


def check_change(run_id: str, before: str, after: str) -> None:
    """An ended run stays as it ended. Raises: UsageError (no such status), ConflictError."""
    if after not in STATUSES:
        raise UsageError(f"status {after!r}: expected one of {', '.join(STATUSES)}")
    if before in ENDED and after != before:
        raise ConflictError(f"run {run_id} has ended ({before}); it cannot become {after}")


def run_above(path: Path, runs: Path) -> str | None:
    """The run whose folder below `runs` holds the path, if one does."""
    root, inside = runs.absolute(), path.absolute()
    return inside.relative_to(root).parts[0] if inside != root and inside.is_relative_to(root) else None
