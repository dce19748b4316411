"""A trial's folder: what is read and written there (`spec.py`), each file whole or not at all. Knows no torch."""

from __future__ import annotations

import dataclasses
import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from model_training.errors import ConflictError, NotFoundError, StorageError, UsageError
from model_training.training.spec import EpochReport, TrialSpec
from scoring.files import write_bytes


class TrialFolder:
    """The file protocol of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / "last.safetensors"
        self.best = self.checkpoints / "best.safetensors"

    def lock(self) -> TextIO:
        """Held while the answer is open.

        Raises: ConflictError when another process trains here.
        """
        if not self.path.is_dir():
            raise NotFoundError(
                f"expected a trial's folder at {self.path}, found none", hint="the controller writes trial.json first"
            )
        file = (self.path / "trial.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise ConflictError(
                f"another process trains in {self.path}", hint="wait for it, or stop it first"
            ) from error
        return file

    def spec(self) -> TrialSpec:
        path = self.path / "trial.json"
        if not path.is_file():
            raise NotFoundError(f"there is no {path}", hint="the controller writes it before the start")
        try:
            values = json.loads(path.read_text("utf-8"))
            return TrialSpec(**{**values, "labels": tuple(values["labels"])})
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{path} is no trial: {error}") from error

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        write_atomically(self.path / name, json.dumps(value).encode())

    def read(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        return json.loads(path.read_text("utf-8")) if path.is_file() else None

    def report(self, report: EpochReport) -> None:
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(report)) + "\n")

    def forget_after(self, epoch: int) -> None:
        """Drop reports that a killed process made after its last checkpoint: those epochs come again."""
        path = self.path / "metrics.jsonl"
        if path.is_file():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["epoch"] <= epoch]
            write_atomically(path, "".join(kept).encode())

    def stop_reason(self) -> str | None:
        path = self.path / "stop"
        return (path.read_text("utf-8").strip() or "asked to stop") if path.is_file() else None


def write_atomically(path: Path, data: bytes) -> None:
    """Raises: StorageError when the disk is full or the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        raise StorageError(message, hint="free some space, or check the folder and its permissions") from error
