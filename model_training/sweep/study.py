"""The sweep's Optuna study in a journal file: which trials there are, their reports and how they ended.

The trials' folders say the truth; this is the record that Optuna's tools read and that later samplers learn from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_training.jobs.spec import Distribution
from model_training.sweep.sampling import Sample, sample
from model_training.workspaces.base import TrialResult


class SweepStudy:
    """One writer at a time: the controller holds the folder's lock."""

    def __init__(self, path: Path, *, spaces: Sequence[Mapping[str, Distribution]], seed: int) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalStorage

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        _mend(path)
        storage = JournalStorage(JournalFileBackend(str(path)))
        self._study = optuna.create_study(
            study_name="sweep",
            storage=storage,
            direction="maximize",
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=seed),
        )
        self._spaces = spaces
        self._seed = seed

    def ask(self, number: int) -> Sample:
        """The sample of trial `number`; the first call for a number adds it to the study."""
        drawn = sample(self._spaces, self._seed, number)
        import optuna

        if number >= len(self._study.get_trials(deepcopy=False)):
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.RUNNING,
                    params=dict(drawn.params),
                    distributions=dict(drawn.distributions),
                    user_attrs={"hyperparameters": dict(drawn.values)},
                )
            )
        return drawn

    def report(self, number: int, epoch: int, value: float) -> None:
        """One value of the primary metric; a repeated epoch keeps its first."""
        from optuna.trial import Trial

        frozen = self._study.get_trials(deepcopy=False)[number]
        if not frozen.state.is_finished() and epoch not in frozen.intermediate_values:
            Trial(self._study, frozen._trial_id).report(value, epoch)

    def tell(self, result: TrialResult, metric: str) -> None:
        """How the trial ended; told twice, the first counts."""
        from optuna.trial import TrialState

        value = result.metrics.get(metric)
        if value is None:
            state = TrialState.FAIL
        else:
            state = TrialState.COMPLETE if result.status == "completed" else TrialState.PRUNED
        # Optuna gives a pruned trial the last value that it reported
        self._study.tell(result.number, value if state is TrialState.COMPLETE else None, state, skip_if_finished=True)

    def values(self) -> list[Any]:
        """What each trial ended with, None where it has not or failed."""
        return [trial.value if trial.state.is_finished() else None for trial in self._study.get_trials(deepcopy=False)]


def _mend(path: Path) -> None:
    """After a kill: drop a line that was cut off, and the lock of the process that is no more."""
    for lock in path.parent.glob(f"{path.name}.lock*"):
        lock.unlink(missing_ok=True)
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as stream:
                stream.truncate(whole)
