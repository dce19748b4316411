"""Published pipelines and pipeline endpoints by SDK v1. Knows nothing of what the step does.

The service counts an endpoint's versions from 0. What is published keeps its properties in the published pipeline.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_training.workspaces.azureml.service import EndpointFacts, PublishedFacts, PublishRequest
from model_training.workspaces.azureml.v1.errors import status_of
from model_training.workspaces.azureml.v1.step import script_step
from model_training.workspaces.azureml.v1.times import moment
from scoring.errors import ConflictError, NotFoundError

LISTED = 1000


class Pipelines:
    """The pipeline service of one workspace; it is asked once for its data types."""

    def __init__(self, workspace: Any) -> None:
        from azureml.pipeline.core._aeva_provider import _AevaWorkflowProvider

        self._workspace = workspace
        self._provider = _AevaWorkflowProvider.create_provider(workspace, "any")

    def endpoints(self) -> Sequence[EndpointFacts]:
        from azureml.pipeline.core import PipelineEndpoint

        found = PipelineEndpoint.list(self._workspace, max_results=LISTED, _workflow_provider=self._provider)
        return sorted((self._facts(endpoint) for endpoint in found), key=lambda endpoint: endpoint.name)

    def endpoint(self, name: str) -> EndpointFacts:
        return self._facts(self._get(name))

    def publish(self, request: PublishRequest) -> PublishedFacts:
        """A new version. Of a new endpoint it is the default; an endpoint that exists keeps the default it has."""
        existing = self._find(request.endpoint)  # before anything is uploaded: a missing right is said at once
        with _stamped(request.properties):
            published = self._published(request)
            if existing is None:
                return self._first(request, published)
            existing.add(published)
        return self._version(request.endpoint, published.id, existing)

    def set_default(self, name: str, version: int) -> None:
        endpoint = self._get(name)
        _require(endpoint, version)
        endpoint.set_default_version(str(version))

    def submit(self, name: str, version: int | None, experiment: str, parameters: Mapping[str, str]) -> str:
        """The id of the pipeline run."""
        endpoint = self._get(name)
        if version is not None:
            _require(endpoint, version)
        if endpoint.status != "Active":
            raise ConflictError(
                f"the endpoint {name} is {endpoint.status}, not Active", hint="enable it in the studio, or publish anew"
            )
        return str(
            self._provider.pipeline_endpoint_provider.submit_pipeline_run_from_pipeline_endpoint(
                endpoint.id,
                experiment,
                parameter_assignment=dict(parameters),
                pipeline_version=None if version is None else str(version),
            )
        )

    # steps of publishing ---------------------------------------------------------------------------------------------

    def _published(self, request: PublishRequest) -> Any:
        from azureml.pipeline.core import Pipeline

        step = script_step(self._workspace, request.step, request.parameters)
        pipeline = Pipeline(
            self._workspace,
            steps=[step],
            default_source_directory=str(request.step.folder),
            _workflow_provider=self._provider,
        )
        return pipeline.publish(
            name=request.endpoint, description=request.description, version=request.properties.get("build_id")
        )

    def _first(self, request: PublishRequest, published: Any) -> PublishedFacts:
        from azureml.pipeline.core import PipelineEndpoint

        endpoint = PipelineEndpoint.publish(
            self._workspace,
            request.endpoint,
            request.description,
            published,
            _workflow_provider=self._provider,
        )
        return self._version(request.endpoint, published.id, endpoint)

    def _version(self, name: str, published_id: str, endpoint: Any) -> PublishedFacts:
        """What was just published, as the service has it; somebody who published at the same moment may have won."""
        numbers = [int(each.version) for each in endpoint.pipeline_version_list if each.pipeline_id == published_id]
        if not numbers:
            raise ConflictError(f"somebody else published {name} at the same time", hint="publish again")
        return _published_facts(name, numbers[0], self._caller.get_pipeline_async(published_id))

    # reading ---------------------------------------------------------------------------------------------------------

    @property
    def _caller(self) -> Any:
        return self._provider._service_caller

    def _get(self, name: str) -> Any:
        found = self._find(name)
        if found is None:
            raise NotFoundError(f"no pipeline endpoint '{name}'", hint="cva endpoint list; cva endpoint publish")
        return found

    def _find(self, name: str) -> Any:
        """None where there is no such endpoint."""
        from azureml.pipeline.core import PipelineEndpoint
        from msrest.exceptions import HttpOperationError

        try:
            return PipelineEndpoint.get(self._workspace, name=name, _workflow_provider=self._provider)
        except HttpOperationError as error:
            if status_of(error) == 404:
                return None
            raise

    def _facts(self, endpoint: Any) -> EndpointFacts:
        entities = self._caller.get_all_pipelines_from_pipeline_endpoint_async(endpoint.id, active_only=False)
        by_id = {entity.id: entity for entity in entities}
        numbers = {int(each.version): each.pipeline_id for each in endpoint.pipeline_version_list}
        versions = {
            number: _published_facts(endpoint.name, number, by_id[pipeline])
            for number, pipeline in sorted(numbers.items())
            if pipeline in by_id
        }
        default = endpoint.default_version
        return EndpointFacts(
            name=endpoint.name,
            default_version=int(default) if str(default or "").isdigit() else None,
            versions=versions,
            description=endpoint.description or "",
            rest_url=endpoint.endpoint or "",
        )


def _published_facts(name: str, number: int, entity: Any) -> PublishedFacts:
    texts = {key: str(value) for key, value in (entity.properties or {}).items() if value is not None}
    return PublishedFacts(
        endpoint=name,
        version=number,
        id=entity.id,
        description=entity.description or "",
        created_at=moment(entity.created_date),
        properties=texts,
    )


def _require(endpoint: Any, version: int) -> None:
    numbers = sorted(int(each.version) for each in endpoint.pipeline_version_list)
    if version not in numbers:
        raise NotFoundError(
            f"{endpoint.name} has no version {version}; versions: {', '.join(map(str, numbers))}",
            hint=f"cva endpoint show {endpoint.name}",
        )


@contextlib.contextmanager
def _stamped(properties: Mapping[str, str]) -> Iterator[None]:
    """The SDK asks its registry of providers for a published pipeline's properties: ours answer, and only ours.

    Its own would add the address of the git remote, which can hold a token.
    """
    from azureml._base_sdk_common.tracking import TrackingInfoProvider, global_tracking_info_registry

    class Properties(TrackingInfoProvider):  # type: ignore[misc]
        def gather(self) -> dict[str, str]:
            return dict(properties)

    before = list(global_tracking_info_registry.providers)
    global_tracking_info_registry.providers[:] = [Properties()]
    try:
        yield
    finally:
        global_tracking_info_registry.providers[:] = before
