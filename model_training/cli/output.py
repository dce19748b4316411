"""How the command line speaks: text for people, one JSON object for programs. Nothing else prints."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """Without signs that a terminal obeys, or that UTF-8 has no bytes for: a name may be a stranger's."""
    return _CONTROL.sub("\ufffd", text)


class Output:
    """`say` is for people: stdout, or stderr under --json so that stdout holds JSON alone."""

    def __init__(self, *, json_only: bool = False, verbose: bool = False) -> None:
        self.json_only = json_only
        self.verbose = verbose

    @property
    def human(self) -> TextIO:
        return sys.stderr if self.json_only else sys.stdout

    def say(self, text: str = "") -> None:
        print(plain(text), file=self.human, flush=True)

    def warn(self, text: str) -> None:
        print(f"warning: {plain(text)}", file=sys.stderr, flush=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Columns aligned to their widest cell; numbers to the right."""
        cells = [[_cell(value) for value in row] for row in rows]
        widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
        numeric = [all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(header))]
        for line in [list(header), *cells]:
            padded = (c.rjust(w) if right else c.ljust(w) for c, w, right in zip(line, widths, numeric, strict=True))
            self.say("  " + "  ".join(padded).rstrip())

    def json(self, value: Mapping[str, Any] | Sequence[Any]) -> None:
        """One compact JSON line on stdout, undefined numbers as null."""
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str, allow_nan=False)
        print(text.encode("utf-8", "backslashreplace").decode(), flush=True)  # half a surrogate pair as its escape


def shown(path: Path) -> str:
    """A path as a person would type it from here."""
    whole, here = path.resolve(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
