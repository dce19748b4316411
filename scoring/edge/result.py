"""What a pull and a publishing did, as values and as the JSON of the command line. Does nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.edge.admission import Admitted

EXIT_OFFLINE = 3


@dataclass(frozen=True)
class PullResult:
    """`status`: updated, current, offline (the old version goes on; `message` says why), or, in a dry run,
    would_update.
    """

    status: str
    name: str
    version: int
    path: Path
    previous: int | None
    message: str = ""
    admitted: Admitted | None = None

    @property
    def exit_code(self) -> int:
        return EXIT_OFFLINE if self.status == "offline" else 0

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "model": self.name,
            "version": self.version,
            "previous": self.previous,
            "message": self.message,
            "signature": self.admitted.to_json() if self.admitted else None,
            "paths": {"model": str(self.path)},
        }


@dataclass(frozen=True)
class Published:
    """`status`: published, signed (a further signature), champion (only the pointer moved), unchanged; a dry run says
    which of them it would be.
    """

    status: str
    name: str
    version: int
    champion: int | None
    keyids: tuple[str, ...]
    folder: Path
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "model": self.name,
            "version": self.version,
            "champion": self.champion,
            "keyids": list(self.keyids),
            "dry_run": self.dry_run,
            "paths": {"model": str(self.folder)},
        }
