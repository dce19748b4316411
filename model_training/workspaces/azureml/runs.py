"""Runs of an Azure ML workspace, as the service has them: anybody's, whoever submitted them.

What ours leave (parameters, result, error) stands in tags, and in blob storage where a tag is too small. A run of the
service ends when its process does; only one that was made here (`create`) is ended from here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_training.workspaces import files
from model_training.workspaces.azureml.cache import Cache
from model_training.workspaces.azureml.naming import check_azure_name
from model_training.workspaces.azureml.service import Blobs, RunFacts, Service
from model_training.workspaces.base import Json, Run
from model_training.workspaces.run_states import ENDED, check_change, run_above
from scoring.errors import NotFoundError, OfflineError, StorageError, UnavailableError

KIND, PARAMETERS, RESULT, ERROR, OURS = "cva_kind", "cva_parameters", "cva_result", "cva_error", "cva_made_here"
STEP_RUN = "cva_run"  # on an AutoML run: the run that submitted it
ELSEWHERE = "in blob storage"
SUBMITTED_WAITS = (2.0, 5.0, 15.0, 30.0)  # seconds, until a run that was just submitted can be written to
MAX_TAG = 1000
MAX_RESULT = 16 << 20  # bytes


class AzureRuns:
    def __init__(self, service: Service, cache: Cache, sleep: Callable[[float], None] = time.sleep) -> None:
        self._service = service
        self._cache = cache
        self._sleep = sleep

    def create(self, *, kind: str, experiment: str, parameters: Mapping[str, str]) -> Run:
        check_azure_name(experiment, "experiment")
        tags = {KIND: kind, OURS: "true"}
        facts = self._service.start_run(experiment, tags=tags | self._parameters(parameters))
        return self.get(facts.id)

    def get(self, run_id: str) -> Run:
        """Raises: NotFoundError."""
        return self._view(self._service.run(run_id))

    def list(self) -> Sequence[Run]:
        """The newest first; those that belong to another run are left out, their results are not fetched."""
        runs = [facts for facts in self._service.runs() if not facts.parent]
        runs.sort(key=lambda facts: (facts.created_at, facts.id), reverse=True)
        return [self._view(facts, whole=False) for facts in runs]

    def update(self, run_id: str, *, status: str, result: Json | None = None, error: str = "") -> Run:
        """An ended run stays as it ended."""
        facts = self._service.run(run_id)
        check_change(run_id, facts.status, status)
        self.note(run_id, result=result, error=error)
        if status in ENDED and facts.status not in ENDED and facts.tags.get(OURS):
            self._service.end_run(run_id, status=status, error=error)
        return self.get(run_id)

    def note(self, run_id: str, *, result: Json | None = None, error: str = "") -> None:
        """Put what a run left, or why it failed, where people look first: in its tags."""
        tags: dict[str, str] = {}
        if result is not None:
            text = json.dumps(files.plain(result), ensure_ascii=False, separators=(",", ":"))
            if len(text) > MAX_TAG:
                self._blobs().write(text.encode(), _result_path(run_id), overwrite=True)
            tags[RESULT] = text if len(text) <= MAX_TAG else ELSEWHERE
        if error:
            tags[ERROR] = error[:MAX_TAG]
        if tags:
            self._service.tag_run(run_id, tags)

    def submitted(self, run_id: str, parameters: Mapping[str, str]) -> Run:
        """Say on a run that the service has made of a pipeline what it was asked for.

        A run that was just submitted cannot always be found at once. Raises: OfflineError, UnavailableError.
        """
        tags = {KIND: "pipeline", **self._parameters(parameters)}
        for wait in SUBMITTED_WAITS:
            try:
                self._service.tag_run(run_id, tags)
                return self.get(run_id)
            except (NotFoundError, OfflineError, UnavailableError):
                self._sleep(wait)
        try:
            self._service.tag_run(run_id, tags)
            return self.get(run_id)
        except NotFoundError as error:
            raise OfflineError(f"the service does not show it yet ({error.message})", hint=error.hint) from error

    def log(self, run_id: str) -> str:
        return self._service.run_log(run_id)

    def cancel(self, run_id: str) -> Run:
        """Ask for the end, of the AutoML run that it waits for too: its own process may be gone already."""
        facts = self._service.run(run_id)
        if facts.status not in ENDED:
            self._service.cancel_run(run_id)
            steps = [run_id, *(child.id for child in self._service.children(run_id))]
            for step in steps:
                for waited_for in self._service.runs(tags={STEP_RUN: step}):
                    if waited_for.status not in ENDED:
                        self._service.cancel_run(waited_for.id)
        return self.get(run_id)

    def containing(self, path: Path) -> str | None:
        """The run whose folder in the cache holds the path, if one does."""
        return run_above(path, self._cache.runs)

    def cancelled(self, run_id: str) -> Callable[[], bool]:
        """A question for the service; ask it seldom."""
        return lambda: self._service.run(run_id).status in ("CancelRequested", "Canceled")

    def _parameters(self, parameters: Mapping[str, str]) -> dict[str, str]:
        text = json.dumps(dict(parameters), ensure_ascii=False, separators=(",", ":"))
        if len(text) > MAX_TAG:
            raise StorageError(
                f"the run's parameters take {len(text)} characters, and a tag holds {MAX_TAG}", hint="use shorter names"
            )
        return {PARAMETERS: text}

    def _view(self, facts: RunFacts, *, whole: bool = True) -> Run:
        return Run(
            id=facts.id,
            experiment=facts.experiment,
            kind=facts.tags.get(KIND, "job"),
            status=facts.status,
            parameters={str(key): str(value) for key, value in _object(facts.tags.get(PARAMETERS, "")).items()},
            created_at=facts.created_at,
            ended_at=facts.ended_at,
            folder=self._cache.run(facts.id),
            result=self._result(facts, whole),
            error="" if facts.status == "Completed" else facts.tags.get(ERROR) or facts.error,  # an earlier try's
        )

    def _result(self, facts: RunFacts, whole: bool) -> Json:
        text = facts.tags.get(RESULT, "")
        if text != ELSEWHERE:
            return _object(text)
        try:
            return _object(self._blobs().read(_result_path(facts.id), limit=MAX_RESULT)) if whole else {}
        except NotFoundError:
            return {}  # somebody cleared the storage

    def _blobs(self) -> Blobs:
        return self._service.blobs(self._service.default_datastore())


def _result_path(run_id: str) -> str:
    return f"cva/runs/{run_id}/result.json"


def _object(text: str | bytes) -> dict[str, Any]:
    """A tag that somebody else wrote is no reason to fail."""
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
