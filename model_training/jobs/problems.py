"""Everything that is wrong with a job file, collected so that it is told at once. Knows nothing about YAML or jobs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from scoring.errors import UsageError


class Problems:
    """Errors and warnings with their lines, in the order of the file."""

    def __init__(self, source_name: str) -> None:
        self.source_name = source_name
        self._errors: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []

    def error(self, line: int, text: str) -> None:
        self._errors.append((line, text))

    def warn(self, line: int, text: str) -> None:
        self._warnings.append((line, text))

    def __bool__(self) -> bool:
        return bool(self._errors)

    @property
    def errors(self) -> tuple[str, ...]:
        return self._lines(self._errors)

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._lines(self._warnings)

    def _lines(self, found: Iterable[tuple[int, str]]) -> tuple[str, ...]:
        return tuple(f"{self.source_name}:{line}: {text}" for line, text in sorted(found, key=lambda item: item[0]))

    def raise_if_any(self) -> None:
        """Raises: UsageError with every problem."""
        if not self._errors:
            return
        count = f"{len(self._errors)} problem{'s' if len(self._errors) > 1 else ''}"
        raise UsageError(
            f"{self.source_name} is not a job that can run: {count}",
            hint="correct the lines above and run `cva job validate` again",
            problems=self.errors,
        )


def nearest(word: str, known: Iterable[str]) -> str:
    """', did you mean X?' or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{found[0]}'?" if found else ""
