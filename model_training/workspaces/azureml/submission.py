"""The one AutoML run of this work: found when it was submitted before, submitted otherwise, cancelled on a stop.

SDK v2 takes a name for it, which is asked for first; v1 takes none, so the step's own run keeps that it was asked for,
and then the search by tags, an index that lags behind, is asked twice; one that v1 made but did not start is ended.
Follows nothing and knows no SDK.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import replace

from model_training.workspaces.azureml.following import Patience
from model_training.workspaces.azureml.service import STARTED_TAG, AutoMLRequest, RunFacts, Service
from model_training.workspaces.base import Event, Reporter
from model_training.workspaces.run_states import ENDED
from scoring.errors import ConflictError, CvaError, NotFoundError, OfflineError, UnavailableError, UsageError

RUN_TAG, JOB_TAG = "cva_run", "cva_job"
STOPPED_TAG = "cva_stopped_with_its_step"  # a step that runs again trains anew; what a person cancelled stays cancelled
ASKED_TAG = "cva_automl_asked"  # on the step's own run, the job's hash: one of this job may be on its way
TRIES = 3


class Submission:
    """`request` needs no name: it gets the first one that is free."""

    def __init__(self, service: Service, request: AutoMLRequest, patience: Patience, reporter: Reporter) -> None:
        self._service = service
        self._request = request
        self._patience = patience
        self._reporter = reporter
        self._begun: RunFacts | None = None

    def begin(self) -> RunFacts:
        self._begun = self._found() or self._submit()
        return self._begun

    def cancel(self) -> None:
        """Whatever of this work still runs; looked for too, since the answer with its id may be lost."""
        try:
            known = self._begun or self._by_name()
            if known:
                self._end(known.id)
            for facts in self._by_tags():
                if not known or facts.id != known.id:
                    self._end(facts.id)
        except CvaError as error:  # what is on its way already says what went wrong
            which = f"AutoML run {self._begun.id}" if self._begun else "an AutoML run that there may be"
            text = f"{which} could not be cancelled ({error.message}): cancel it in the studio, it costs money"
            self._reporter(Event("warning", text))

    def _end(self, run_id: str) -> None:
        if self._service.run(run_id).status not in ENDED:
            self._service.tag_run(run_id, {STOPPED_TAG: "true"})
            self._service.cancel_run(run_id)
            self._reporter(Event("message", f"cancelled AutoML run {run_id}"))

    def _submit(self) -> RunFacts:
        """Once. When the answer is lost, it is looked for before it is asked for again."""
        limits = self._request.job.limits
        text = f"submit the AutoML job: at most {limits.max_trials} trials in {limits.timeout_minutes:g} minutes"
        self._reporter(Event("message", text))
        self._note_asked()
        for attempt in range(1, TRIES + 1):
            try:
                return self._service.submit_automl(self._request)
            except (OfflineError, UnavailableError, ConflictError) as error:  # a name that is taken: by another node
                if attempt == TRIES:
                    raise
                self._reporter(Event("warning", f"submitting did not get through, again: {error.message}"))
                self._patience.sleep(max(self._patience.first, getattr(error, "retry_after", 0)))
            found = self._found()
            if found:
                return found
        raise AssertionError("the last attempt returns or raises")

    def _found(self) -> RunFacts | None:
        """The run that was submitted for this work before, however it stands."""
        found = self._by_name() or self._newest()
        if found is None and not self._takes_names and self._asked_before():
            self._patience.sleep(self._patience.index)
            found = self._newest()
        return found

    def _note_asked(self) -> None:
        if self._takes_names:
            return
        with contextlib.suppress(NotFoundError):
            self._service.tag_run(self._request.tags[RUN_TAG], {ASKED_TAG: self._request.tags[JOB_TAG]})

    def _asked_before(self) -> bool:
        """True too where no run of ours keeps it."""
        try:
            tags = self._service.run(self._request.tags[RUN_TAG]).tags
        except NotFoundError:
            return True
        return tags.get(ASKED_TAG) == self._request.tags[JOB_TAG]

    def _newest(self) -> RunFacts | None:
        there = [facts for facts in self._by_tags() if self._takes_names or self._started(facts)]
        return max(there, key=lambda facts: (facts.created_at, facts.id), default=None)

    def _started(self, found: RunFacts) -> bool:
        """Not so where a node was lost between two calls of v1: what nobody started would be waited for without end."""
        if STARTED_TAG in found.tags or STARTED_TAG in self._service.run(found.id).tags:  # the search lags behind
            return True
        with contextlib.suppress(NotFoundError, ConflictError, UsageError):  # nobody may carry it on yet
            self._end(found.id)
        return False

    def _by_tags(self) -> list[RunFacts]:
        return [facts for facts in self._service.runs(tags=self._request.tags) if STOPPED_TAG not in facts.tags]

    def _by_name(self) -> RunFacts | None:
        """A run that stopped with its step keeps its name: the next name is asked for, and taken when it is free."""
        first = job_name(self._request.tags)
        for number in itertools.count(1) if self._takes_names else ():
            name = first if number == 1 else f"{first}-{number}"
            try:
                facts = self._service.run(name)
            except NotFoundError:
                self._request = replace(self._request, name=name)
                return None
            if STOPPED_TAG not in facts.tags:
                return facts
        return None

    @property
    def _takes_names(self) -> bool:
        return self._service.generation == "v2"


def job_name(tags: Mapping[str, str]) -> str:
    """The same for the same job of the same run; letters, digits and underscores, as a job's name has to be."""
    said = f"{tags[RUN_TAG]} {tags[JOB_TAG]}"
    return f"automl_{hashlib.sha256(said.encode()).hexdigest()[:32]}"
