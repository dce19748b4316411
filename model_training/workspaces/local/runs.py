"""Runs of a local workspace: a folder each, `runs/<id>/`, readable by any process.

Knows nothing about what they execute. run.json is written by the run's owner alone; another process asks for an end
with the cancel marker. What a reader sees is worked out from both and from whether the owner's lock is held, so a
killed process never leaves a run that looks alive.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from model_training.workspaces.base import Event, Json, Reporter, Run
from model_training.workspaces.local.layout import Layout
from model_training.workspaces.local.run_files import RunFiles
from model_training.workspaces.names import check_name, now
from model_training.workspaces.run_states import ENDED, STATUSES, check_change, run_above
from scoring.errors import NotFoundError

__all__ = ["ENDED", "STATUSES", "LocalRuns"]


class LocalRuns:
    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def create(self, *, kind: str, experiment: str, parameters: Mapping[str, str], fingerprint: str = "") -> Run:
        """`fingerprint` tells which later submission asks for the same work and so goes on with this run."""
        check_name(experiment, "experiment")
        run_id = _new_id()
        files = RunFiles(self._layout.runs / run_id)
        files.folder.mkdir(parents=True)
        record = {"id": run_id, "experiment": experiment, "kind": kind, "status": "NotStarted", "result": {}}
        record |= {"parameters": dict(parameters), "created_at": now(), "ended_at": "", "error": ""}
        files.write(record | {"fingerprint": fingerprint, "launched": False})
        return self.get(run_id)

    def get(self, run_id: str) -> Run:
        return _view(self.files(run_id))

    def list(self) -> Sequence[Run]:
        """The newest first."""
        return [_view(RunFiles(folder)) for folder in self._folders()]

    def update(self, run_id: str, *, status: str, result: Json | None = None, error: str = "") -> Run:
        """Called by the run's owner. An ended run stays as it ended."""
        files = self.files(run_id)
        record = files.read()
        check_change(run_id, record["status"], status)
        ended = now() if status in ENDED else ""
        record |= {"status": status, "error": error, "ended_at": ended}
        if result is not None:
            record["result"] = result
        files.write(record)
        return self.get(run_id)

    def log(self, run_id: str) -> str:
        path = self.files(run_id).log
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def cancel(self, run_id: str) -> Run:
        """Ask for the end; the owner stops at its next look. Cancelling an ended run changes nothing."""
        files = self.files(run_id)
        if _view(files).status not in ENDED:
            files.cancel.touch()
        return self.get(run_id)

    def reporter(self, run_id: str) -> Reporter:
        return self.files(run_id).report

    def cancelled(self, run_id: str) -> Callable[[], bool]:
        """A question that long work asks often: one stat a call."""
        return self.files(run_id).cancel.exists

    @contextmanager
    def own(self, run_id: str, inherited: int | None = None) -> Iterator[None]:
        """This process executes the run until the end of the block. Raises: ConflictError when another one does."""
        with self.files(run_id).owned(inherited):
            yield

    def resumable(self, fingerprint: str) -> Run | None:
        """The newest run of that work that ended without completing."""
        for folder in self._folders():
            if RunFiles(folder).read().get("fingerprint") == fingerprint:
                run = _view(RunFiles(folder))
                return run if run.status in ("Failed", "Canceled") else None
        return None

    def reopen(self, run_id: str) -> Run:
        """Make an ended run ready to go on from where it stopped."""
        files = self.files(run_id)
        with files.owned():
            files.cancel.unlink(missing_ok=True)
            files.write(files.read() | {"status": "NotStarted", "ended_at": "", "error": "", "launched": False})
            files.report(Event("message", "submitted again: goes on from where it stopped"))
        return self.get(run_id)

    def launched(self, run_id: str) -> None:
        """From now on a process holds the run; a NotStarted run without one has failed."""
        files = self.files(run_id)
        files.write(files.read() | {"launched": True})

    def containing(self, path: Path) -> str | None:
        """The run whose folder holds the path, if one does."""
        return run_above(path, self._layout.runs)

    def files(self, run_id: str) -> RunFiles:
        files = RunFiles(self._layout.runs / run_id)
        if "/" in run_id or run_id in ("", ".", "..") or not files.record.is_file():
            latest = ", ".join(folder.name for folder in self._folders()[:3]) or "none yet"
            raise NotFoundError(f"there is no run {run_id!r}; the latest: {latest}", hint="see `cva job list`")
        return files

    def _folders(self) -> Sequence[Path]:
        found = self._layout.runs.glob("*/run.json")
        return sorted((path.parent for path in found), key=lambda folder: folder.name, reverse=True)


def _new_id() -> str:
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S-%f}-{secrets.token_hex(3)}"


def _view(files: RunFiles) -> Run:
    record = files.read()
    status, error = _status(record, files)
    return Run(
        id=record["id"],
        experiment=record["experiment"],
        kind=record["kind"],
        status=status,
        parameters=record["parameters"],
        created_at=record["created_at"],
        ended_at=record["ended_at"],
        folder=files.folder,
        result=record["result"],
        error=error,
    )


def _status(record: Mapping[str, Any], files: RunFiles) -> tuple[str, str]:
    status, error = str(record["status"]), str(record["error"])
    if status in ENDED:
        return status, error
    cancel = files.cancel.exists()
    if files.alive:
        return ("CancelRequested" if cancel else status), error
    if cancel:
        return "Canceled", error
    if status == "NotStarted" and not record.get("launched"):
        return status, error
    # the owner may have written its last word between the two looks
    again = files.read()
    if again["status"] in ENDED:
        return str(again["status"]), str(again["error"])
    return "Failed", f"process {files.pid or '?'} is gone; submit again to go on"
