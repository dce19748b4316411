"""What is looked at beside the trials while an AutoML run is followed: is it still wanted, and does it get a node.

A pipeline that is cancelled in the studio may end its step without any signal that reaches Python. Waits for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from model_training.workspaces.azureml.following import Patience
from model_training.workspaces.azureml.service import Service
from model_training.workspaces.azureml.trials import Trial
from model_training.workspaces.base import Event, Reporter
from scoring.errors import CancelledError, NotFoundError

NO_NODE = 15 * 60.0  # seconds without a trial after which a person is told
CANCELLED = ("CancelRequested", "Canceled")


class Guard:
    """`run_id` is the step's own run; its pipeline's run, the one above it, is the one that people cancel."""

    def __init__(self, service: Service, run_id: str, cluster: str, patience: Patience, reporter: Reporter) -> None:
        self._service = service
        self._run_id = run_id
        self._cluster = cluster
        self._patience = patience
        self._reporter = reporter
        self._pipeline: str | None = None  # "": nobody to ask
        self._since: float | None = patience.clock()

    def still_wanted(self) -> None:
        """Raises: CancelledError once the pipeline's run is being cancelled."""
        if self._pipeline is None:
            self._pipeline = self._above()
        if self._pipeline and self._status(self._pipeline) in CANCELLED:
            raise CancelledError(f"run {self._pipeline} was cancelled", hint="submit the endpoint again to train")

    def has_node(self, trials: Sequence[Trial]) -> None:
        """A warning, once, when no trial starts for long."""
        if self._since is None:
            return
        if any(trial.facts.status != "NotStarted" for trial in trials):
            self._since = None
        elif self._patience.clock() - self._since >= NO_NODE:
            self._since = None
            text = f"no trial has started for {NO_NODE / 60:g} minutes: waiting for a GPU node of {self._cluster}"
            self._reporter(Event("warning", f"{text}, whose quota may be 0: see https://ml.azure.com/quota"))

    def _above(self) -> str:
        """The run of no pipeline is asked itself; what is no run at all (a folder's hash) is not."""
        try:
            return self._service.run(self._run_id).parent or self._run_id
        except NotFoundError:
            return ""

    def _status(self, run_id: str) -> str:
        try:
            return self._service.run(run_id).status
        except NotFoundError:
            return ""
