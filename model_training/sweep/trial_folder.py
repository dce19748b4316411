"""One trial's folder, seen from the controller's side (`training/spec.py` says what lies in it). Starts no process."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_training.sweep.files import read_json
from model_training.training.spec import EpochReport, TrialSpec
from model_training.workspaces.base import TrialResult
from scoring.files import write_bytes, write_json

_REPORT_FIELDS = {field.name for field in dataclasses.fields(EpochReport)}


class TrialFolder:
    """Reads reports as they come; `reports` holds the latest of each epoch (a resumed trial may repeat one)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reports: dict[int, EpochReport] = {}
        self._offset = self._inode = 0

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def started(self) -> bool:
        return (self.path / "trial.json").exists()

    @property
    def stopping(self) -> str | None:
        """The reason of a stop that was asked for."""
        try:
            return (self.path / "stop").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    def write_spec(self, spec: TrialSpec) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / "trial.json", dataclasses.asdict(spec))

    def read_spec(self) -> TrialSpec:
        value = read_json(self.path / "trial.json")
        return TrialSpec(**{**value, "labels": tuple(value["labels"])})

    def ask_to_stop(self, reason: str) -> None:
        """The trial ends at the end of its epoch."""
        write_bytes(self.path / "stop", f"{reason}\n".encode())

    def tail(self) -> list[EpochReport]:
        """The reports that were not read before; an unfinished last line waits.

        A trial that goes on replaces the file by the part that its checkpoint knows, which is read anew.
        """
        try:
            with (self.path / "metrics.jsonl").open("rb") as stream:
                inode = os.fstat(stream.fileno()).st_ino
                if inode != self._inode:
                    self._inode, self._offset = inode, 0
                stream.seek(self._offset)
                chunk = stream.read()
        except FileNotFoundError:
            return []
        whole = chunk[: chunk.rfind(b"\n") + 1]
        self._offset += len(whole)
        read = [report for line in whole.splitlines() if (report := _report(line)) is not None]
        fresh = [report for report in read if self.reports.get(report.epoch) != report]
        self.reports |= {report.epoch: report for report in fresh}
        return fresh

    def curve(self, metric: str) -> list[float]:
        """The metric of each evaluated epoch where it is defined, in order."""
        ordered = (self.reports[epoch].metrics for epoch in sorted(self.reports))
        return [float(metrics[metric]) for metrics in ordered if metrics and metrics.get(metric) is not None]

    def progress(self) -> Mapping[str, Any] | None:
        try:
            value: Mapping[str, Any] | None = read_json(self.path / "progress.json")
        except ValueError:
            return None
        return value

    def result(self) -> TrialResult | None:
        """How the trial ended, None while it has not."""
        found = read_json(self.path / "result.json")
        if found is not None:
            weights = found.get("weights")
            kept = self.path / weights if weights and (self.path / weights).is_file() else None
            cut_short = self.stopping is not None or "deadline" in (found.get("reason") or "")
            return self._result(
                status="stopped" if cut_short else found["status"],
                metrics=found.get("metrics") or {},
                best_epoch=found.get("best_epoch") or 0,
                epochs=found.get("epochs") or 0,
                cpu_seconds=found.get("cpu_seconds") or 0.0,
                seconds=found.get("seconds") or 0.0,
                weights=kept,  # none when the deadline came before the first validation
                reason=self.stopping or found.get("reason") or "",
            )
        error = read_json(self.path / "error.json")
        return self._without_weights("failed", error["message"]) if error else None

    def fail(self, message: str) -> TrialResult:
        """Write down that the process ended without a word."""
        write_json(self.path / "error.json", {"type": "TrainingError", "message": message, "hint": f"see {self.log}"})
        return self._without_weights("failed", message)

    def forget_failure(self) -> None:
        """So that a start of the trial counts again."""
        (self.path / "error.json").unlink(missing_ok=True)

    def salvage(self, metric: str, reason: str) -> TrialResult:
        """The result of a trial that was cut off: its best checkpoint counts, if it has one."""
        self.tail()
        weights = self.path / "checkpoints" / "best.safetensors"
        scored = [(report.metrics or {}).get(metric) for report in self.reports.values()]
        if not weights.exists() or all(value is None for value in scored):
            return self._without_weights("stopped", reason)
        best = max(
            (report for report in self.reports.values() if report.metrics and report.metrics.get(metric) is not None),
            key=lambda report: (report.metrics or {})[metric],
        )
        last = self.reports[max(self.reports)]
        return self._result(
            "stopped", best.metrics or {}, best.epoch, last.epoch, last.cpu_seconds, last.seconds, weights, reason
        )

    def _without_weights(self, status: str, reason: str) -> TrialResult:
        self.tail()
        last = self.reports[max(self.reports)] if self.reports else None
        epochs, cpu, seconds = (last.epoch, last.cpu_seconds, last.seconds) if last else (0, 0.0, 0.0)
        return self._result(status, {}, 0, epochs, cpu, seconds, None, reason)

    def _result(
        self,
        status: str,
        metrics: Mapping[str, Any],
        best_epoch: int,
        epochs: int,
        cpu_seconds: float,
        seconds: float,
        weights: Path | None,
        reason: str,
    ) -> TrialResult:
        spec = self.read_spec()
        return TrialResult(
            number=spec.number,
            status=status,
            algorithm=spec.algorithm,
            hyperparameters=spec.hyperparameters,
            metrics=metrics,
            best_epoch=best_epoch,
            epochs=epochs,
            cpu_seconds=cpu_seconds,
            seconds=seconds,
            folder=self.path,
            weights=weights,
            reason=reason,
        )


def _report(line: bytes) -> EpochReport | None:
    """None for a line that a kill cut off and a resumed trial wrote behind."""
    try:
        value = json.loads(line)
        return EpochReport(**{key: value[key] for key in _REPORT_FIELDS})
    except (ValueError, KeyError, TypeError):
        return None
