"""Pipeline endpoints: batch endpoints whose deployments `v01`, `v02`, … are pipeline components of one command node.

A published version's properties are the deployment's tags, the endpoint's full name is a tag of the endpoint. Knows
nothing of what the step does.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from model_training.workspaces.azureml.service import EndpointFacts, PublishedFacts, PublishRequest, RunFacts
from model_training.workspaces.azureml.v2 import component as documents
from model_training.workspaces.azureml.v2.client import API_VERSION
from model_training.workspaces.azureml.v2.errors import translated
from model_training.workspaces.azureml.v2.naming import (
    NAME_TAG,
    component_name,
    deployment_name,
    deployment_version,
    endpoint_name,
)
from model_training.workspaces.azureml.v2.room import REMOVED, crowded_out, name_taken
from model_training.workspaces.azureml.v2.runs import RunCalls
from model_training.workspaces.azureml.v2.times import moment
from model_training.workspaces.azureml.v2.versions import number, take_next
from scoring.errors import ConflictError, NotFoundError, UsageError

logger = logging.getLogger(__name__)
LONGEST_TAG = 256  # of a resource's tag


class EndpointCalls(RunCalls):
    @translated
    def endpoints(self) -> Sequence[EndpointFacts]:
        ours = [found for found in self._ml.batch_endpoints.list() if NAME_TAG in (found.tags or {})]
        return [self._facts(found) for found in ours]

    @translated
    def endpoint(self, name: str) -> EndpointFacts:
        return self._facts(self._endpoint(name))

    @translated
    def publish(self, request: PublishRequest) -> PublishedFacts:
        _check_tags(request.properties)
        environment = self._environment(request)
        existing = self._component_versions(request.endpoint)
        version, component = take_next(
            existing, lambda v: self._component(request, v, environment), f"endpoint {request.endpoint}"
        )
        endpoint = self._ensured(request)
        properties = {**request.properties, **self._room_for_one_more(endpoint)}
        deployment = self._deployed(replace(request, properties=properties), endpoint.name, version, component)
        if _default_of(endpoint) is None:
            self._point(endpoint, version)
        return PublishedFacts(
            endpoint=request.endpoint,
            version=version,
            id=deployment_name(version),
            description=request.description,
            created_at=deployment.created_at,
            properties=properties,
        )

    @translated
    def set_default(self, name: str, version: int) -> None:
        endpoint = self._endpoint(name)
        self._require(name, version)
        self._point(endpoint, version)

    @translated
    def submit(self, name: str, *, version: int | None, experiment: str, parameters: Mapping[str, str]) -> RunFacts:
        from azure.ai.ml import Input

        chosen = version if version is not None else _default_of(self._endpoint(name))
        if chosen is None:
            raise NotFoundError(f"endpoint '{name}' has no default version", hint=f"cva endpoint set-default {name} N")
        if version is not None:
            self._require(name, version)
        # The deployment is always named: the SDK keeps the header of an earlier call that named one.
        job = self._ml.batch_endpoints.invoke(
            endpoint_name=self._short(name),
            deployment_name=deployment_name(chosen),
            inputs={key: Input(type="string", default=value) for key, value in parameters.items()},
            experiment_name=experiment,
        )
        return self._submitted(str(job.name), experiment, {})

    # publishing, in its order: environment, component (its version is the lock), endpoint, deployment, default --------

    def _environment(self, request: PublishRequest) -> str:
        from azure.ai.ml import load_environment

        document = documents.environment_document(request.step)
        self._ml.environments.create_or_update(load_environment(io.StringIO(json.dumps(document))))
        return f"{document['name']}:{document['version']}"

    def _component_versions(self, name: str) -> list[int]:
        """Those that are deployed and those whose deployment somebody is just making."""
        url = self._client.resource(f"components/{component_name(name)}/versions")
        found = [number(item["name"]) for item in self._listed(url)]
        return [version for version in found if version is not None]

    @translated
    def _component(self, request: PublishRequest, version: int, environment: str) -> tuple[int, str]:
        from azure.ai.ml import load_component

        token = secrets.token_hex(8)
        document = documents.pipeline_document(request, component_name(request.endpoint), version, environment, token)
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars and blank lines
            made = self._ml.components.create_or_update(load_component(io.StringIO(json.dumps(document))))
        if (made.tags or {}).get(documents.TOKEN) != token:
            raise ConflictError(f"version {version} of {request.endpoint} was published by somebody else just now")
        return version, str(made.id)

    def _ensured(self, request: PublishRequest) -> Any:
        """The batch endpoint, made when it is not there; one that exists keeps its description and its default."""
        from azure.ai.ml.entities import BatchEndpoint
        from azure.core.exceptions import ResourceNotFoundError

        name = self._short(request.endpoint)
        try:
            found = self._ml.batch_endpoints.get(name)
        except ResourceNotFoundError:
            made = BatchEndpoint(name=name, description=request.description, tags={NAME_TAG: request.endpoint})
            with name_taken(name):
                return self._ml.batch_endpoints.begin_create_or_update(made).result()
        if (found.tags or {}).get(NAME_TAG) != request.endpoint:
            raise ConflictError(
                f"the batch endpoint {name} exists and is not '{request.endpoint}'",
                hint="publish under another name: cva endpoint publish --name",
            )
        return found

    def _room_for_one_more(self, endpoint: Any) -> dict[str, str]:
        """The oldest deployments go where the service takes no more; what went is a property of what comes."""
        url = self._client.resource(f"batchEndpoints/{endpoint.name}/deployments")
        gone = crowded_out([str(item["name"]) for item in self._listed(url)], default=_default_of(endpoint))
        for version in gone:
            logger.warning("endpoint %s: version %d is removed to make room", endpoint.tags[NAME_TAG], version)
            self._ml.batch_deployments.begin_delete(deployment_name(version), endpoint.name).result()
        return {REMOVED: ", ".join(map(str, gone))} if gone else {}

    def _deployed(self, request: PublishRequest, endpoint: str, version: int, component: str) -> PublishedFacts:
        from azure.ai.ml.entities import PipelineComponentBatchDeployment

        deployment = PipelineComponentBatchDeployment(
            name=deployment_name(version),
            endpoint_name=endpoint,
            component=component,
            settings={"default_compute": request.step.compute, "continue_on_step_failure": "false"},
            description=request.description,
            tags=dict(request.properties),
        )
        self._ml.batch_deployments.begin_create_or_update(deployment).result()
        url = self._client.resource(f"batchEndpoints/{endpoint}/deployments/{deployment.name}")
        return _published(request.endpoint, self._client.rest.get(url, **_ARM))

    def _point(self, endpoint: Any, version: int) -> None:
        endpoint.defaults = {"deployment_name": deployment_name(version)}
        self._ml.batch_endpoints.begin_create_or_update(endpoint).result()

    # reading ----------------------------------------------------------------------------------------------------------

    def _endpoint(self, name: str) -> Any:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            found = self._ml.batch_endpoints.get(self._short(name))
        except ResourceNotFoundError:
            found = None
        if found is None or (found.tags or {}).get(NAME_TAG) != name:
            raise NotFoundError(f"no pipeline endpoint '{name}' here", hint="`cva endpoint list` shows those that are")
        return found

    def _require(self, name: str, version: int) -> None:
        known = sorted(self._deployments(name))
        if version not in known:
            listed = ", ".join(str(each) for each in known) or "none"
            raise NotFoundError(
                f"endpoint '{name}' has no version {version}; versions: {listed}", hint="give one of those"
            )

    def _facts(self, found: Any) -> EndpointFacts:
        name = found.tags[NAME_TAG]
        return EndpointFacts(
            name=name,
            default_version=_default_of(found),
            versions=self._deployments(name),
            description=found.description or "",
            rest_url=found.scoring_uri or "",
        )

    def _deployments(self, name: str) -> dict[int, PublishedFacts]:
        url = self._client.resource(f"batchEndpoints/{self._short(name)}/deployments")
        found = [item for item in self._listed(url) if deployment_version(item["name"])]
        facts = [_published(name, item) for item in found]
        return {each.version: each for each in sorted(facts, key=lambda each: each.version)}

    def _short(self, name: str) -> str:
        return endpoint_name(name, self._client.place.arm_path)

    def _listed(self, url: str) -> Iterator[dict[str, Any]]:
        """A list of the resource manager as it is: the SDK's own reading of a deployment loses when it was made."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            yield from self._client.rest.pages(url, **_ARM)
        except ResourceNotFoundError:
            return


_ARM = {"api-version": API_VERSION}


def _published(endpoint: str, item: Mapping[str, Any]) -> PublishedFacts:
    version = deployment_version(str(item["name"]))
    assert version is not None, "only deployments named v<N> are read"
    return PublishedFacts(
        endpoint=endpoint,
        version=version,
        id=str(item["name"]),
        description=str(item["properties"].get("description") or ""),
        created_at=moment((item.get("systemData") or {}).get("createdAt")),
        properties=dict(item.get("tags") or {}),
    )


def _default_of(endpoint: Any) -> int | None:
    defaults = endpoint.defaults
    name = defaults.get("deployment_name") if isinstance(defaults, dict) else getattr(defaults, "deployment_name", None)
    return deployment_version(str(name or ""))


def _check_tags(properties: Mapping[str, str]) -> None:
    long = [key for key, value in properties.items() if len(value) > LONGEST_TAG]
    if long:
        raise UsageError(
            f"expected properties of at most {LONGEST_TAG} characters, found longer: {', '.join(sorted(long))}",
            hint="shorten them; a page of text belongs in a blob",
        )
