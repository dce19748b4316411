"""The files of one run: its record, its log, its events as JSON lines, its cancel marker and its owner's lock.

Knows nothing about what a run does. A run lives as long as a process holds `owner.lock`, however that process ends.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from model_training.workspaces import files
from model_training.workspaces.base import Event
from model_training.workspaces.files import plain
from model_training.workspaces.locking import is_held, try_lock
from model_training.workspaces.names import now
from scoring.errors import ConflictError

__all__ = ["RunFiles", "append", "plain"]


@dataclasses.dataclass(frozen=True)
class RunFiles:
    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / "run.json"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def cancel(self) -> Path:
        return self.folder / "cancel"

    @property
    def owner(self) -> Path:
        return self.folder / "owner.lock"

    def read(self) -> dict[str, Any]:
        return files.read_json(self.record, "a run's record")

    def write(self, record: Mapping[str, Any]) -> None:
        files.write_json(self.record, plain(record))

    @property
    def alive(self) -> bool:
        return is_held(self.owner)

    @property
    def pid(self) -> str:
        """Of the last process that owned the run, for people to look for."""
        return self.owner.read_text(encoding="ascii").strip() if self.owner.is_file() else ""

    def take(self, inherited: int | None = None) -> int:
        """The owner's lock as an open descriptor: taken now, or handed down by the process that started this one.

        Raises: ConflictError when another process owns the run.
        """
        if inherited is not None:
            os.set_inheritable(inherited, False)  # this process owns the run, its own children do not
            descriptor = inherited
        else:
            descriptor = os.open(self.owner, os.O_RDWR | os.O_CREAT, 0o644)
            if not try_lock(descriptor):
                os.close(descriptor)
                raise ConflictError(
                    f"run {self.folder.name} is already being executed by process {self.pid or '?'}",
                    hint="wait for it, or cancel it",
                )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
        return descriptor

    @contextmanager
    def owned(self, inherited: int | None = None) -> Iterator[None]:
        descriptor = self.take(inherited)
        try:
            yield
        finally:
            with suppress(OSError):  # a forked child may have closed it already
                os.close(descriptor)

    def report(self, event: Event) -> None:
        """One line in each file; a single write each, so that lines of two processes never mix."""
        at = now()
        line = {"at": at, "kind": event.kind, "text": event.text, "data": plain(event.data)}
        append(self.folder / "events.jsonl", json.dumps(line, ensure_ascii=False, allow_nan=False))
        if event.kind != "progress":
            append(self.log, f"{at[:19]}Z {event.text}")


def append(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (text + "\n").encode("utf-8"))
    finally:
        os.close(descriptor)
