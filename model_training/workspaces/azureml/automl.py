"""The AutoML part of an Azure ML workspace: a job's sweep run by the service on a GPU cluster, followed from here.

A step whose node was restarted goes on with the run that it began; one that is told to stop, whose pipeline is
cancelled or that fails while it waits cancels it. Trains nothing and knows no SDK.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from model_training.jobs.spec import JobSpec, Limits
from model_training.setting_rules import RETIRED_SIZES, TRAINS_ON, trains_images
from model_training.workspaces import references
from model_training.workspaces.azureml.automl_guard import Guard
from model_training.workspaces.azureml.automl_watch import Watch
from model_training.workspaces.azureml.cache import Cache
from model_training.workspaces.azureml.following import Patience, follow
from model_training.workspaces.azureml.leavings import fetch_leavings
from model_training.workspaces.azureml.naming import check_azure_name
from model_training.workspaces.azureml.service import Asset, AutoMLRequest, Compute, RunFacts, Service
from model_training.workspaces.azureml.submission import JOB_TAG, RUN_TAG, Submission
from model_training.workspaces.azureml.training import Training
from model_training.workspaces.azureml.trials import Trial, own_error, result
from model_training.workspaces.base import BestTrial, Event, Reporter, TrialResult, silent
from model_training.workspaces.run_states import ENDED, run_above
from scoring.errors import (
    CancelledError,
    CvaError,
    NotFoundError,
    OfflineError,
    TrainingError,
    UnavailableError,
    UsageError,
)

BEST_CHILD = "automl_best_child_run_id"
LONGEST_MINUTES = 8 * 60  # where a job sets no limit of its own
UNLIMITED_MINUTES = Limits().timeout_minutes  # Azure's default, a week


class AzureAutoML:
    def __init__(self, service: Service, cache: Cache, patience: Patience, training: Training) -> None:
        """`service` is asked for clusters; a run goes through the one that `training` has for its parts."""
        self._service = service
        self._cache = cache
        self._patience = patience
        self._training = training

    def check(self, cluster: str) -> None:
        """Raises: NotFoundError that lists the clusters there are; UsageError for a size that Azure has retired."""
        self._cluster(cluster)

    def clusters(self) -> Sequence[Compute]:
        return self._service.clusters()

    def run(self, job: JobSpec, cluster: str, *, folder: Path, reporter: Reporter = silent) -> BestTrial:
        """The service's sweep on the job's registered parts, followed to its end; the best trial's files in `folder`.

        Raises: NotFoundError, UsageError, TrainingError with the service's own words, CancelledError.
        """
        if job.data is None:
            raise UsageError("this job has no data yet", hint="train_and_register fills it in from the stored split")
        compute = self._cluster(cluster)
        if not trains_images(compute.size):
            reporter(Event("warning", f"{cluster} has the size {compute.size}, and {TRAINS_ON}"))
        service = self._training.service(job)
        request = self._request(service, job, cluster, folder)
        watch = Watch(service, request.job, reporter)
        submission = Submission(service, request, self._patience, reporter)
        try:
            facts = submission.begin()
            reporter(Event("message", f"AutoML run {facts.id} on {cluster}  {facts.portal_url}".rstrip()))
            look = _looks(watch, Guard(service, request.tags[RUN_TAG], cluster, self._patience, reporter))
            ended = follow(service, facts.id, look, self._patience, reporter)
        except (OfflineError, UnavailableError):
            raise  # it goes on: a step that runs again finds it
        except (CvaError, KeyboardInterrupt, SystemExit):  # nobody waits for it any more
            submission.cancel()
            raise
        if ended.status != "Completed":
            raise _unfinished(service, ended, compute)
        return _best(service, request.job, ended, watch, folder, reporter)

    def _cluster(self, name: str) -> Compute:
        there = {compute.name: compute for compute in self._service.clusters()}
        if name not in there:
            raise NotFoundError(
                f"there is no cluster {name!r}; clusters: {', '.join(sorted(there)) or 'none'}",
                hint="give one of them, or deploy infrastructure/, which makes them",
            )
        better = RETIRED_SIZES.get(there[name].size.lower())
        if better:
            raise UsageError(
                f"cluster {name} has the size {there[name].size}, which Azure has retired",
                hint=f"make it anew with VM_SIZE {better}",
            )
        return there[name]

    def _request(self, service: Service, job: JobSpec, cluster: str, folder: Path) -> AutoMLRequest:
        train, validation = (_asset(service, job, part) for part in ("train", "validation"))
        if job.overrides or job.budget_cpu_seconds:
            given = ", ".join([*job.overrides, *(["budget_cpu_seconds"] if job.budget_cpu_seconds else [])])
            raise UsageError(f"{given}: only for training on this machine", hint="write it into the job file")
        guarded = replace(job, limits=_guarded(job))
        run_id = run_above(folder, self._cache.runs) or hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:32]
        same = [job.source, cluster, repr(guarded.limits)]
        same += [f"{asset.name}:{asset.version}" for asset in (train, validation)]
        tags = {RUN_TAG: run_id, JOB_TAG: hashlib.sha256(json.dumps(same).encode()).hexdigest()[:32]}
        experiment = check_azure_name(job.experiment_name or "automl_for_images", "experiment")
        return AutoMLRequest(guarded, train, validation, cluster, experiment, tags)


def _looks(watch: Watch, guard: Guard) -> Callable[[RunFacts], bool]:
    def look(facts: RunFacts) -> bool:
        if facts.status not in ENDED:
            guard.still_wanted()
        new = watch.look(facts)
        guard.has_node(watch.trials)
        return new

    return look


def _asset(service: Service, job: JobSpec, part: str) -> Asset:
    named = job.data.assets.get(part, "") if job.data else ""
    if not named:
        raise UsageError(
            f"the {part} part is not registered in the workspace, so the service cannot read it",
            hint="take the parts from workspace.datasets.split(dataset)",
        )
    wanted = references.parse(named)
    for asset in service.assets(wanted.name):
        if asset.version == wanted.version:
            return asset
    raise NotFoundError(f"there is no data set {named}", hint="split the data set again")


def _unfinished(service: Service, ended: RunFacts, compute: Compute) -> TrainingError | CancelledError:
    if ended.status == "Canceled":
        return CancelledError(
            f"AutoML run {ended.id} was cancelled in the workspace", hint="submit the endpoint again to train"
        )
    said = own_error(service, ended)
    hint = f"see {ended.portal_url or ended.id}"
    if "quota" in said.lower():
        hint = f"ask for quota of {compute.size} in this region, or give another --cluster; {hint}"
    return TrainingError(f"AutoML run {ended.id} failed: {said}", hint=hint, log=ended.portal_url)


def _best(service: Service, job: JobSpec, ended: RunFacts, watch: Watch, folder: Path, reporter: Reporter) -> BestTrial:
    from model_training.sweep.standing import announce

    folder.mkdir(parents=True, exist_ok=True)
    best = _winner(ended, watch, job)
    reporter(Event("stage", f"fetch what trial {best.number + 1} left"))
    exported = fetch_leavings(service, best.facts.id, folder / "automl")
    results = [
        result(trial, watch.metrics(trial), job, folder / str(trial.number), exported if trial is best else None)
        for trial in watch.trials
    ]
    ranked = sorted(results, key=_rank(job, best.number))
    announce(job, ranked, folder, reporter)
    labels = job.data.labels if job.data else ()
    return BestTrial(ranked[0], tuple(ranked), job, labels, folder)


def _winner(ended: RunFacts, watch: Watch, job: JobSpec) -> Trial:
    """The one that the service calls the best."""
    named = ended.tags.get(BEST_CHILD) or ended.properties.get(BEST_CHILD) or ""
    best = next((trial for trial in watch.trials if trial.facts.id == named), None)
    if best is None:
        raise TrainingError(
            f"AutoML run {ended.id} completed without a best trial ({BEST_CHILD} says {named or 'nothing'})",
            hint=f"see its trials: {ended.portal_url or ended.id}",
        )
    return best


def _rank(job: JobSpec, best: int) -> Callable[[TrialResult], tuple[bool, bool, float, int]]:
    """The service's best first, then by the primary metric; what has none last."""

    def key(each: TrialResult) -> tuple[bool, bool, float, int]:
        value = each.metrics.get(job.primary_metric)
        return each.number != best, value is None, -(value or 0.0), each.number

    return key


def _guarded(job: JobSpec) -> Limits:
    """The job's limits, never without a timeout that a person would have chosen: GPU hours cost money."""
    minutes = job.limits.timeout_minutes
    minutes = LONGEST_MINUTES if minutes >= UNLIMITED_MINUTES else minutes
    if job.budget_minutes:
        minutes = min(minutes, max(round(job.budget_minutes), 1))
    return replace(job.limits, timeout_minutes=minutes)
