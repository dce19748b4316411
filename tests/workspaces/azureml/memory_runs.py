"""Runs from memory, and what an AutoML run of the service does: a script that a test writes.

An AutoML image run has one child, the sweep `…_HD`, whose children are the trials; their hyperparameters stand in
tags of the sweep, and the best child's id in a tag of the run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from model_training.workspaces.azureml.service import RunFacts
from scoring.errors import ConflictError, NotFoundError

ENDED = ("Completed", "Failed", "Canceled")
ONNX = {
    "train_artifacts/model.onnx": b"not a network",
    "train_artifacts/labels.json": b'["cap", "no_cap"]',
    "train_artifacts/model.pt": b"a pickle",
    "outputs/mlflow-model/MLmodel": b"flavors: {}",
}


@dataclass
class Record:
    """A run as the service has it."""

    facts: RunFacts
    log: str = ""
    metrics: dict[str, list[float]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class ScriptedTrial:
    """`metrics` by name, a number an epoch; one more is there at each look, until `status` is reached."""

    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=lambda: {"model_name": "yolov5", "learning_rate": 0.01})
    status: str = "Completed"
    error: str = ""
    files: Mapping[str, bytes] = field(default_factory=lambda: ONNX)


@dataclass(frozen=True)
class Script:
    """What the next AutoML run does; `best` is a trial's number. A run that `hangs` ends only when it is cancelled."""

    trials: Sequence[ScriptedTrial] = (ScriptedTrial({"mean_average_precision": [0.5]}),)
    best: int | None = 0
    status: str = "Completed"
    error: str = ""
    hangs: bool = False


class Runs:
    """All runs of one workspace, and a clock that moves a second at each event."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.scripts: dict[str, tuple[Script, int]] = {}  # of running AutoML runs, and how often they were looked at
        self._seconds = 0

    def now(self) -> str:
        self._seconds += 1
        moment = datetime(2026, 5, 1, tzinfo=timezone.utc) + timedelta(seconds=self._seconds)
        return moment.isoformat().replace("+00:00", "Z")

    def start(self, run_id: str, experiment: str, status: str, tags: Mapping[str, str], parent: str = "") -> RunFacts:
        address = f"https://ml.azure.com/runs/{run_id}"
        facts = RunFacts(run_id, experiment, status, dict(tags), {}, self.now(), parent=parent, portal_url=address)
        self.records[run_id] = Record(facts)
        return facts

    def get(self, run_id: str) -> Record:
        if run_id not in self.records:
            raise NotFoundError(f"there is no run {run_id!r}")
        return self.records[run_id]

    def change(self, run_id: str, **values: Any) -> None:
        record = self.get(run_id)
        if values.get("status") in ENDED and not record.facts.ended_at:
            values["ended_at"] = self.now()
        record.facts = replace(record.facts, **values)

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        assert all(isinstance(value, str) and len(value) <= 1000 for value in tags.values()), tags
        self.change(run_id, tags={**self.get(run_id).facts.tags, **tags})

    def children(self, run_id: str) -> list[RunFacts]:
        return [record.facts for record in self.records.values() if record.facts.parent == run_id]

    def cancel(self, run_id: str) -> None:
        if self.get(run_id).facts.status not in ENDED:
            self.change(run_id, status="Canceled")
            self.scripts.pop(run_id, None)
            for child in self.children(run_id):
                self.cancel(child.id)

    # what AutoML does -----------------------------------------------------------------------------------------------

    def begin(self, script: Script, experiment: str, tags: Mapping[str, str], name: str = "") -> RunFacts:
        run_id = name or f"AutoML_{len(self.records):08x}"
        if run_id in self.records:
            raise ConflictError(f"the job {run_id} exists")
        self.start(run_id, experiment, "NotStarted", tags)
        self.start(f"{run_id}_HD", experiment, "Running", {}, parent=run_id)
        self.scripts[run_id] = script, 0
        return self.get(run_id).facts

    def advance(self, run_id: str) -> None:
        """One look at a run is one epoch of its trials."""
        if run_id not in self.scripts:
            return
        script, epoch = self.scripts[run_id]
        self.change(run_id, status="Running")
        for number, trial in enumerate(script.trials):
            self._trial(run_id, number, trial, epoch)
        longest = max((len(values) for trial in script.trials for values in trial.metrics.values()), default=0)
        self.scripts[run_id] = script, epoch + 1
        if epoch >= longest and not script.hangs:
            self._end(run_id, script)

    def _trial(self, run_id: str, number: int, trial: ScriptedTrial, epoch: int) -> None:
        sweep, child = f"{run_id}_HD", f"{run_id}_HD_{number}"
        if child not in self.records:
            self.start(child, self.get(run_id).facts.experiment, "Running", {}, parent=sweep)
            self.tag(sweep, {f"_aml_system_{child}": json.dumps(dict(trial.hyperparameters))})
        record = self.get(child)
        record.metrics = {name: list(values[:epoch]) for name, values in trial.metrics.items() if epoch}
        if epoch >= max(map(len, trial.metrics.values()), default=0) and record.facts.status == "Running":
            record.files = dict(trial.files)
            self.change(child, status=trial.status, error=trial.error)

    def _end(self, run_id: str, script: Script) -> None:
        del self.scripts[run_id]
        if script.best is not None:
            self.tag(run_id, {"automl_best_child_run_id": f"{run_id}_HD_{script.best}"})
        self.change(f"{run_id}_HD", status=script.status)
        self.change(run_id, status=script.status, error=script.error)
