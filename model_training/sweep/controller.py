"""Runs a job's sweep: starts trials, reads their reports, stops the bad ones, keeps the limits, picks the best.

Everything is in the sweep's folder, so the same call goes on after a kill: finished trials are kept, unfinished ones go
on from their checkpoints. Knows the trial protocol (`training/spec.py`) and nothing of training itself.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_training.jobs.spec import JobSpec
from model_training.sweep.bandit import first_stop
from model_training.sweep.budget import fit_to_budget
from model_training.sweep.clock import Clock
from model_training.sweep.processes import Executor, Handle, Processes, cores, end_all
from model_training.sweep.progress import ended_event, epoch_event, heard, started_event, step_event, trial_name
from model_training.sweep.resolve import hyperparameters
from model_training.sweep.standing import best_trial, searched
from model_training.sweep.study import SweepStudy
from model_training.sweep.trial_folder import TrialFolder
from model_training.training.spec import EpochReport, TrialSpec
from model_training.workspaces.base import BestTrial, Event, Reporter, TrialResult, silent
from scoring.errors import CancelledError, ConflictError, UsageError

POLL_SECONDS = 0.25
QUIET_SECONDS = 15.0  # after which progress within an epoch is told


def never() -> bool:
    return False


def run_sweep(
    job: JobSpec,
    *,
    folder: Path,
    reporter: Reporter = silent,
    cancelled: Callable[[], bool] = never,
    executor: Executor | None = None,
) -> BestTrial:
    """Run the job's trials in `folder`, or go on with them, and return the best with the whole leaderboard.

    Raises: TrainingError when no trial left anything, CancelledError (what is done stays), ConflictError when the
    folder is in use, UsageError when the job has no data.
    """
    from filelock import FileLock, Timeout

    if job.data is None:
        raise UsageError("the job has no data paths", hint="call run_sweep with job.on(DataPaths(…))")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "sweep.lock", timeout=0):
            where = executor or _executor(job)
            return _Sweep(job, folder, heard(reporter, job.log_verbosity), cancelled, where).run()
    except Timeout:
        raise ConflictError(f"another process runs the sweep in {folder}", hint="wait for it, or cancel it") from None


def fitted(job: JobSpec, executor: Executor | None = None) -> tuple[JobSpec, str]:
    """The job with the sizes that its budget allows where it would run, and why in a line."""
    where = executor or _executor(job)
    return fit_to_budget(job, device=where.device, cores=cores(), concurrent=_concurrent(job, where))


def _concurrent(job: JobSpec, executor: Executor) -> int:
    return executor.capacity(min(job.limits.max_concurrent_trials, job.limits.max_trials))


def _executor(job: JobSpec) -> Executor:
    return Processes(str(job.overrides.get("device", "")), threads=job.overrides.get("threads"))


@dataclass
class _Running:
    """A trial that runs, and how far it was looked at."""

    number: int
    slot: int
    folder: TrialFolder
    handle: Handle
    checked: int = 0  # reports that early termination has seen
    told: float = 0.0  # monotonic time of the last event


class _Sweep:
    def __init__(
        self, job: JobSpec, folder: Path, reporter: Reporter, cancelled: Callable[[], bool], executor: Executor
    ) -> None:
        self.folder = folder
        self.reporter = reporter
        self.cancelled = cancelled
        self.executor = executor
        self.metric = job.primary_metric
        self.concurrent = _concurrent(job, executor)
        self.threads = executor.threads(self.concurrent)
        self.job, why = fitted(job, executor)
        self.trials = self.job.limits.max_trials
        if why:
            reporter(Event("message", why, self.job.overrides))
        self.clock = Clock(
            folder / "sweep.json", timeout_minutes=job.limits.timeout_minutes, budget_minutes=job.budget_minutes
        )
        self.study = SweepStudy(folder / "study.journal", spaces=job.search_spaces, seed=job.seed)
        self.folders = [TrialFolder(folder / "trials" / f"{number:04}") for number in range(self.trials)]
        self.results: dict[int, TrialResult] = {}
        self.running: dict[int, _Running] = {}

    def run(self) -> BestTrial:
        waiting = self._restore()
        try:
            while self.running or (waiting and self.clock.remaining() > 0):
                self._check_cancelled()
                while waiting and len(self.running) < self.concurrent and self.clock.remaining() > 0:
                    self._start(waiting.pop(0), len(waiting) + 1)
                for trial in list(self.running.values()):
                    self._look_at(trial)
                if self.clock.remaining() <= 0:
                    self._cut_off()
                self.clock.save()
                if self.running:
                    time.sleep(max(0.0, min(POLL_SECONDS, self.clock.remaining())))
        finally:
            end_all([trial.handle for trial in self.running.values()])
            self.clock.save(now=True)
        self._salvage(waiting)
        best = best_trial(self.job, self.results, self.folder, self.reporter, self.clock.reason)
        self._tidy()
        return best

    def _restore(self) -> list[int]:
        """Finished trials of an earlier call are kept; the numbers of the others are returned, begun ones first."""
        for number, folder in enumerate(self.folders):
            if not folder.started:
                continue
            self.study.ask(number)
            for report in folder.tail():
                self._record(number, report)
            result = folder.result()
            if result and result.status == "failed" and not (self.folder / "leaderboard.json").exists():
                folder.forget_failure()  # the sweep was not finished: what was in the way may be gone
            elif result:
                self._keep(result)
        if self.results:
            self.reporter(Event("message", f"{len(self.results)} of {self.trials} trials were finished before"))
        left = [number for number in range(self.trials) if number not in self.results]
        return sorted(left, key=lambda number: not self.folders[number].started)

    def _tidy(self) -> None:
        """What only an unfinished sweep needs is most of its bytes: decoded images, states to go on from."""
        shutil.rmtree(self.folder / "trials" / "cache", ignore_errors=True)
        for folder in self.folders:
            (folder.path / "checkpoints" / "last.safetensors").unlink(missing_ok=True)

    def _start(self, number: int, to_come: int) -> None:
        folder = self.folders[number]
        sample = self.study.ask(number)
        resumed = folder.started
        spec = folder.read_spec() if resumed else self._spec(number, sample.values, to_come)
        folder.write_spec(replace(spec, deadline=self.clock.deadline(), threads=self.threads))
        slot = min(set(range(self.concurrent)) - {trial.slot for trial in self.running.values()})
        handle = self.executor.start(folder.path, slot=slot, threads=self.threads)
        self.running[number] = _Running(number, slot, folder, handle, told=time.monotonic())
        self.reporter(started_event(number, self.trials, self._shown(spec), resumed=resumed))

    def _spec(self, number: int, sampled: Mapping[str, Any], to_come: int) -> TrialSpec:
        assert self.job.data is not None
        algorithm, values = hyperparameters(self.job, sampled)
        seed = values.get("random_seed")
        return TrialSpec(
            number=number,
            algorithm=algorithm,
            hyperparameters=values,
            labels=self.job.data.labels,
            train=str(self.job.data.train),
            validation=str(self.job.data.validation),
            primary_metric=self.metric,
            seed=self.job.seed if seed is None else int(seed),
            device=self.executor.device,
            threads=self.threads,
            budget_cpu_seconds=self.job.budget_cpu_seconds,
            budget_seconds=self.clock.share(to_come, self.concurrent),
        )

    def _shown(self, spec: TrialSpec) -> dict[str, Any]:
        names = sorted({*searched(self.job), "model_size", "image_size"} - {"model_name"})
        return {name: spec.hyperparameters[name] for name in names if name in spec.hyperparameters}

    def _look_at(self, trial: _Running) -> None:
        ended = trial.handle.poll()  # before the files: what it wrote last is then there
        fresh = trial.folder.tail()
        for report in fresh:
            trial.told = time.monotonic()
            self.reporter(epoch_event(trial.number, self.trials, report, self.metric))
            self._record(trial.number, report)
        if ended is not None:
            self._end(trial, trial.folder.result() or trial.folder.fail(_last_words(ended, trial.folder.log)))
            return
        if fresh:
            self._apply_early_termination(trial)
        if time.monotonic() - trial.told > QUIET_SECONDS and (progress := trial.folder.progress()):
            trial.told = time.monotonic()
            self.reporter(step_event(trial.number, self.trials, progress))

    def _apply_early_termination(self, trial: _Running) -> None:
        policy = self.job.early_termination
        if policy is None or trial.folder.stopping is not None:
            return
        curves = {number: folder.curve(self.metric) for number, folder in enumerate(self.folders)}
        reason = first_stop(policy, curves, trial.number, trial.checked)
        trial.checked = len(curves[trial.number])
        if reason:
            trial.folder.ask_to_stop(reason)
            self.reporter(Event("message", f"{trial_name(trial.number, self.trials)}  stops: {reason}"))

    def _end(self, trial: _Running, result: TrialResult) -> None:
        del self.running[trial.number]
        self._keep(result)
        self.reporter(ended_event(result, self.trials, self.metric))

    def _record(self, number: int, report: EpochReport) -> None:
        value = (report.metrics or {}).get(self.metric)
        if value is not None:
            self.study.report(number, report.epoch, value)

    def _keep(self, result: TrialResult) -> None:
        self.results[result.number] = result
        self.study.tell(result, self.metric)

    def _check_cancelled(self) -> None:
        if self.cancelled():
            raise CancelledError(
                f"cancelled after {len(self.results)} of {self.trials} trials",
                hint="the same command goes on from there",
            )

    def _cut_off(self) -> None:
        """The limit is reached: whoever has not ended by itself is ended, and its best checkpoint counts."""
        end_all([trial.handle for trial in self.running.values()])
        for trial in list(self.running.values()):
            self._end(trial, trial.folder.result() or trial.folder.salvage(self.metric, self.clock.reason))

    def _salvage(self, waiting: list[int]) -> None:
        """Trials that the limit cut off in this call or an earlier one: their best checkpoints count."""
        for number in waiting:
            folder = self.folders[number]
            if folder.started:
                self._keep(folder.salvage(self.metric, self.clock.reason))


def _last_words(code: int, log: Path) -> str:
    """Why a process ended without result.json or error.json."""
    if code < 0:
        import signal

        name = signal.Signals(-code).name
        return f"the trial's process was ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return f"the trial's process ended with code {code}: {lines[-1] if lines else 'it said nothing'}"
