"""What happens in an AutoML run while it is followed, told as the events of a local sweep. Waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from model_training.jobs.spec import JobSpec
from model_training.sweep.progress import SHORT, ended_event, heard, started_event, trial_name
from model_training.workspaces.azureml.service import RunFacts, Service
from model_training.workspaces.azureml.trials import Trial, result, trials_of
from model_training.workspaces.base import Event, Reporter
from model_training.workspaces.run_states import ENDED

Course = Mapping[str, Sequence[float]]


class Watch:
    """Remembers what was told; a trial that has ended is not asked for its numbers again."""

    def __init__(self, service: Service, job: JobSpec, reporter: Reporter) -> None:
        self._service = service
        self._job = job
        self._reporter = heard(reporter, job.log_verbosity)
        self._metrics: dict[str, Course] = {}
        self._told: dict[str, tuple[str, int]] = {}  # status and number of measurements
        self._status = ""
        self.trials: Sequence[Trial] = ()

    def look(self, facts: RunFacts) -> bool:
        """True when something happened since the last look."""
        self.trials = trials_of(self._service, facts)
        changed = [self._tell(trial) for trial in self.trials]
        if facts.status != self._status:
            self._status = facts.status
            self._reporter(Event("message", f"AutoML run {facts.id}: {facts.status}", {"status": facts.status}))
            return True
        return any(changed)

    def metrics(self, trial: Trial) -> Course:
        """By name, one value a measurement."""
        return self._metrics.get(trial.facts.id, {})

    def _tell(self, trial: Trial) -> bool:
        run_id, status = trial.facts.id, trial.facts.status
        before, measured = self._told.get(run_id, ("", 0))
        if before in ENDED:
            return False
        trials = max(self._job.limits.max_trials, len(self.trials))
        if not before:
            self._reporter(started_event(trial.number, trials, trial.hyperparameters, resumed=False))
        if status != "NotStarted":
            self._metrics[run_id] = self._service.metrics(run_id)
        course = self.metrics(trial).get(self._job.primary_metric, ())
        if len(course) > measured:
            self._reporter(self._epoch(trial, trials, course))
        if status in ENDED:
            ended = result(trial, self.metrics(trial), self._job, Path())
            self._reporter(ended_event(ended, trials, self._job.primary_metric))
        self._told[run_id] = status, len(course)
        return (status, len(course)) != (before, measured)

    def _epoch(self, trial: Trial, trials: int, course: Sequence[float]) -> Event:
        metric = self._job.primary_metric
        text = f"{trial_name(trial.number, trials)}  epoch {len(course)}  {SHORT.get(metric, metric)} {course[-1]:.3f}"
        numbers = {"trial": trial.number, "trials": trials, "epoch": len(course), "metric": metric, "value": course[-1]}
        return Event("epoch", text, numbers)
