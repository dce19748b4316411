"""Pipeline endpoints of an Azure ML workspace: named, with immutable published versions, one of them the default.

The service keeps the code and the parameters; the job template that a version was published with is kept beside it in
blob storage, where `version` reads it. Knows nothing about what the step does or how its code is staged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from model_training.workspaces import files
from model_training.workspaces.azureml.naming import check_azure_name
from model_training.workspaces.azureml.service import (
    Blobs,
    EndpointFacts,
    PublishedFacts,
    PublishRequest,
    Service,
    StepCode,
)
from model_training.workspaces.base import BATCH_SCORING, TRAINING, Endpoint, Json, PublishedPipeline, Run, check_kind
from model_training.workspaces.names import check_name, now
from model_training.workspaces.references import SUFFIXES
from scoring.errors import NotFoundError, OfflineError, UnavailableError, UsageError

if TYPE_CHECKING:
    from model_training.jobs.spec import JobSpec
    from model_training.workspaces.azureml.workspace import AzureWorkspace

MAX_RECORD = 4 << 20  # bytes


class Stage(Protocol):
    """Makes the step's code: `template` is the job file, "" for batch scoring."""

    def __call__(self, template: str, *, kind: str, git_commit: str) -> StepCode: ...


class AzureEndpoints:
    def __init__(self, workspace: AzureWorkspace, service: Service, stage: Stage | None) -> None:
        self._workspace = workspace
        self._service = service
        self._stage = stage

    def publish(
        self,
        name: str,
        template: str,
        *,
        description: str = "",
        git_commit: str = "",
        set_default: bool = True,
        properties: Mapping[str, str] | None = None,
        kind: str = TRAINING,
    ) -> PublishedPipeline:
        """Add a version; the first one is the default in any case. Nothing is published of a template with faults.

        Raises: UsageError (name, template, kind), and what staging raises.
        """
        check_name(name, "endpoint")
        check_kind(kind)
        if self._stage is None:
            raise UsageError("a workspace that is opened by a step publishes nothing", hint="cva endpoint publish")
        parameters = _parameters(template, kind, name)
        record: Json = {"description": description, "git_commit": git_commit, "kind": kind, "template": template}
        step = self._stage(template, kind=kind, git_commit=git_commit)
        told = {"cva_kind": kind, "cva_git_commit": git_commit, "cva_source_sha256": step.sha256, **(properties or {})}
        facts = self._service.publish(
            PublishRequest(
                endpoint=name,
                description=description,
                step=step,
                parameters=parameters,
                properties={key: value for key, value in told.items() if value},
            )
        )
        record |= {"created_at": facts.created_at or now(), "properties": dict(properties or {})}
        self._blobs().write(files.json_bytes(record), _record_path(name, facts.version), overwrite=True)
        if set_default:
            self._service.set_default(name, facts.version)
        return _published(facts, record)

    def get(self, name: str) -> Endpoint:
        return self._view(self._facts(name))

    def list(self) -> Sequence[Endpoint]:
        return [self._view(facts) for facts in sorted(self._service.endpoints(), key=lambda facts: facts.name)]

    def version(self, name: str, version: int | None = None) -> PublishedPipeline:
        """One published version, the default one when none is named."""
        facts = self._facts(name)
        number = _default(facts) if version is None else _require(facts, version)
        return _published(facts.versions[number], self._record(name, number))

    def rest_url(self, name: str) -> str:
        """Where a POST submits it (CONTRACTS 7)."""
        return self._facts(name).rest_url

    def set_default(self, name: str, version: int) -> Endpoint:
        """One reversible write."""
        _require(self._facts(name), version)
        self._service.set_default(name, version)
        return self.get(name)

    def submit(
        self,
        name: str,
        *,
        experiment: str,
        dataset_name: str,
        model_name: str,
        cluster: str,
        version: int | None = None,
    ) -> Run:
        """Check everything that can be checked without spending anything, then submit and return at once.

        Raises: NotFoundError (endpoint, version, dataset, cluster), UsageError (names, a retired size).
        """
        check_azure_name(experiment, "experiment")
        facts = self._facts(name)
        number = _default(facts) if version is None else _require(facts, version)
        kind = _kind(facts.versions[number]) or self._record(name, number).get("kind", TRAINING)
        self._workspace.datasets.find(dataset_name)
        parameters = {"dataset_name": dataset_name, "model_name": model_name}
        if kind == TRAINING:
            check_azure_name(model_name, "model")
            self._workspace.automl.check(cluster)
            parameters["cluster"] = cluster
        else:
            self._workspace.models.find(model_name)
        run = self._service.submit(name, version=version, experiment=experiment, parameters=parameters)
        asked = {**parameters, "endpoint": name, "endpoint_version": str(number)}
        try:
            return self._workspace.runs.submitted(run.id, asked)
        except (OfflineError, UnavailableError) as error:  # saying only that would have it submitted, and paid, twice
            hint = f"do not submit it again; see: cva job show {run.id}"
            raise OfflineError(f"run {run.id} is submitted, but: {error.message}", hint=hint) from error

    def _facts(self, name: str) -> EndpointFacts:
        try:
            return self._service.endpoint(name)
        except NotFoundError as error:
            known = ", ".join(sorted(facts.name for facts in self._service.endpoints())) or "none yet"
            raise NotFoundError(
                f"there is no endpoint {name!r}; endpoints: {known}", hint="publish one: cva endpoint publish"
            ) from error

    def _view(self, facts: EndpointFacts) -> Endpoint:
        default = _default(facts)
        described = facts.versions[default].description or facts.description
        return Endpoint(facts.name, default, tuple(sorted(facts.versions)), described)

    def _record(self, name: str, version: int) -> Json:
        """Empty for a version that was published by other means, or whose publishing was cut off."""
        path = _record_path(name, version)
        try:
            return files.parse_json(self._blobs().read(path, limit=MAX_RECORD), path)
        except NotFoundError:
            return {}

    def _blobs(self) -> Blobs:
        return self._service.blobs(self._service.default_datastore())


def _record_path(name: str, version: int) -> str:
    return f"cva/endpoints/{name}/{version}.json"


def _published(facts: PublishedFacts, record: Json) -> PublishedPipeline:
    """What is kept of a version, and what the service says where nothing is."""
    return PublishedPipeline(
        endpoint=facts.endpoint,
        version=facts.version,
        description=record.get("description") or facts.description,
        template=record.get("template", ""),
        git_commit=record.get("git_commit") or facts.properties.get("cva_git_commit", ""),
        created_at=record.get("created_at") or facts.created_at,
        properties=record.get("properties", dict(facts.properties)),
        kind=record.get("kind") or _kind(facts) or TRAINING,
    )


def _kind(facts: PublishedFacts) -> str:
    return facts.properties.get("cva_kind", "")


def _default(facts: EndpointFacts) -> int:
    """The default version, or the newest where nothing was made the default yet."""
    if not facts.versions:
        raise NotFoundError(
            f"endpoint {facts.name!r} has no published version", hint="publish one: cva endpoint publish"
        )
    return max(facts.versions) if facts.default_version is None else facts.default_version


def _require(facts: EndpointFacts, version: int) -> int:
    if version not in facts.versions:
        there = ", ".join(map(str, sorted(facts.versions)))
        raise NotFoundError(
            f"endpoint {facts.name!r} has no version {version}; versions: {there}",
            hint=f"see `cva endpoint show {facts.name}`",
        )
    return version


def _parameters(template: str, kind: str, name: str) -> dict[str, str]:
    """What a submission may set, with what stands there before anybody does. Raises: UsageError."""
    from model_training.jobs.load import parse_job

    check_kind(kind)
    if kind == BATCH_SCORING:
        return {"dataset_name": "dataset", "model_name": "model"}
    job = parse_job(template, f"the template of {name}", target="azure")
    if job.experiment_name:
        check_azure_name(job.experiment_name, "experiment")
    dataset = _whole(job)
    return {"dataset_name": dataset, "model_name": f"{dataset}_model", "cluster": job.compute.removeprefix("azureml:")}


def _whole(job: JobSpec) -> str:
    """The name of the data set that the template's parts are of; a placeholder where it names a path."""
    if not job.training_data.startswith("azureml:"):
        return "dataset"
    name = job.training_data.removeprefix("azureml:").partition("@")[0].partition(":")[0]
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(suffix) or "dataset"
