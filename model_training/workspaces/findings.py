"""What a look at a workspace found: one value a check, with what to do. Knows no workspace."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    check: str
    status: str  # ok | warn | fail
    found: str
    todo: str = ""
