"""Batch endpoints, their deployments, and the scoring address that starts a run."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.fake_azure.arm import accepted
from tests.fake_azure.messages import Answer, Json, Reply, Request, arm_error, azureml_error, now
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import EndpointRecord, RunRecord, State, VersionRecord
from tests.fake_azure.tokens import ML
from tests.fake_azure.v2 import bodies
from tests.fake_azure.v2.code import component_of
from tests.fake_azure.v2.wire import checked, listing, not_found, own, resource

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("arm")
SCORING = Routes("azureml")
LONGEST_TAG = 256
MOST_DEPLOYMENTS = 20


@ROUTES.route("GET", "{WS}/batchEndpoints")
def endpoints(azure: FakeAzure, request: Request) -> Answer:
    found = [each for each in azure.state.endpoints.values() if each.generation == "v2"]
    return listing(azure, request, (_endpoint(azure.state, each) for each in found))


@ROUTES.route("GET", "{WS}/batchEndpoints/(?P<name>[^/]+)")
def endpoint(azure: FakeAzure, request: Request, name: str) -> Answer:
    return _endpoint(azure.state, _found(azure.state, name))


@ROUTES.route("PUT", "{WS}/batchEndpoints/(?P<name>[^/]+)")
def put_endpoint(azure: FakeAzure, request: Request, name: str) -> Answer:
    body = checked("workspaces/batchEndpoints", request)
    sent, existed = body["properties"], _key(name) in azure.state.endpoints
    check_name(name)
    _check_tags(body)
    record = azure.state.endpoints.get(_key(name)) or EndpointRecord(name, "v2")
    chosen = (sent.get("defaults") or {}).get("deploymentName")
    if chosen and chosen not in {each.id for each in record.versions.values()}:
        raise arm_error(400, "UserError", f"The default deployment {chosen} does not exist.")
    record.default = next((number for number, each in record.versions.items() if each.id == chosen), None)
    record.description, record.tags = sent.get("description") or "", dict(body.get("tags") or {})
    record.properties = dict(sent.get("properties") or {})
    azure.state.endpoints[_key(name)] = record
    answer = _endpoint(azure.state, record)
    return answer if existed else accepted(azure, answer, 201, answer)


@ROUTES.route("GET", "{WS}/batchEndpoints/(?P<name>[^/]+)/deployments")
def deployments(azure: FakeAzure, request: Request, name: str) -> Answer:
    record = _found(azure.state, name)
    return listing(azure, request, (_deployment(azure.state, record, each) for each in record.versions.values()))


@ROUTES.route("GET", "{WS}/batchEndpoints/(?P<name>[^/]+)/deployments/(?P<deployment>[^/]+)")
def deployment(azure: FakeAzure, request: Request, name: str, deployment: str) -> Answer:
    record = _found(azure.state, name)
    found = next((each for each in record.versions.values() if each.id == deployment), None)
    if found is None:
        raise not_found(f"Deployment {deployment} of {name}")
    return _deployment(azure.state, record, found)


@ROUTES.route("PUT", "{WS}/batchEndpoints/(?P<name>[^/]+)/deployments/(?P<deployment>[^/]+)")
def put_deployment(azure: FakeAzure, request: Request, name: str, deployment: str) -> Answer:
    body = checked("workspaces/batchEndpoints/deployments", request)
    check_name(deployment)
    _check_tags(body)
    record, sent = _found(azure.state, name), body["properties"]
    configuration = sent.get("deploymentConfiguration") or {}
    if configuration.get("deploymentConfigurationType") != "PipelineComponent":
        raise arm_error(400, "UserError", "this fake has deployments of pipeline components only")
    spec = component_of(azure, configuration["componentId"]["assetId"])
    digits = deployment.removeprefix("v")
    number = int(digits) if digits.isdigit() else len(record.versions) + 1
    existed = number in record.versions
    if not existed and len(record.versions) >= MOST_DEPLOYMENTS:
        raise arm_error(
            400, "UserError", f"The endpoint {name} has {MOST_DEPLOYMENTS} deployments, which is the limit."
        )
    version = VersionRecord(deployment, number, sent.get("description") or "", body=body, extra={"spec": spec})
    version.parameters = {key: str(value.get("default", "")) for key, value in (spec.get("inputs") or {}).items()}
    version.tags = dict(body.get("tags") or {})
    if existed:
        version.created_at = record.versions[number].created_at
    record.versions[number] = version
    answer = _deployment(azure.state, record, version)
    return answer if existed else accepted(azure, answer, 201, answer)


@ROUTES.route("DELETE", "{WS}/batchEndpoints/(?P<name>[^/]+)/deployments/(?P<deployment>[^/]+)")
def delete_deployment(azure: FakeAzure, request: Request, name: str, deployment: str) -> Answer:
    bodies.none(request)
    record = _found(azure.state, name)
    number = next((number for number, each in record.versions.items() if each.id == deployment), None)
    if number is None:
        return Reply(204)
    if number == record.default:
        raise arm_error(400, "UserError", f"The deployment {deployment} is the default of {name}.")
    del record.versions[number]
    return accepted(azure, {})


@SCORING.route("POST", "/jobs", audience=ML)
def invoke(azure: FakeAzure, request: Request) -> Answer:
    """What the scoring address does, for the SDK and for plain REST."""
    sent = bodies.batch_job(request)
    record = _found(azure.state, request.host.partition(".")[0])
    version = _chosen(record, request.headers.get("azureml-model-deployment", ""))
    repeated = own(azure.state, "repeatable")
    key = request.headers.get("repeatability-request-id", "")
    if key and key in repeated:
        return Reply(201, repeated[key])
    run = _started(azure.state, record, version, sent)
    answer = _job(azure.state, run)
    if key:
        repeated[key] = answer
    return Reply(201, answer)


def _chosen(record: EndpointRecord, name: str) -> VersionRecord:
    if name:
        found = next((each for each in record.versions.values() if each.id == name), None)
        if found is None:
            raise azureml_error(404, "UserError", f"the endpoint {record.name} has no deployment {name}")
        return found
    if record.default is None:
        raise azureml_error(400, "UserError", f"the endpoint {record.name} has no default deployment")
    return record.versions[record.default]


def _started(state: State, record: EndpointRecord, version: VersionRecord, sent: Json) -> RunRecord:
    """A pipeline's run with one step below it, both waiting."""
    parameters = _parameters(version, sent.get("inputData") or {})
    experiment = (sent.get("properties") or {}).get("experimentName") or record.name
    run = RunRecord(
        str(uuid.uuid4()), experiment, kind="azureml.PipelineRun", parameters=parameters, body={"properties": sent}
    )
    run.properties = {"azureml.pipelineComponent": "pipelinerun", "azureml.deploymentname": version.id}
    run.tags = {"azureml.batchrun": "true", "azureml.jobtype": "PipelineJob"}
    state.runs[run.id] = run
    for name, node in version.extra["spec"]["jobs"].items():
        step = RunRecord(str(uuid.uuid4()), experiment, kind="azureml.StepRun", display_name=name, parent=run.id)
        step.compute, step.parameters = str(node["computeId"]).rpartition("/")[2], parameters
        step.extra = {"node": node}
        state.runs[step.id] = step
    return run


def _parameters(version: VersionRecord, inputs: Mapping[str, Json]) -> dict[str, str]:
    unknown = sorted(set(inputs) - set(version.parameters))
    if unknown:
        raise azureml_error(400, "UserError", f"unknown inputs: {', '.join(unknown)}")
    given = {}
    for key, each in inputs.items():
        if each["jobInputType"] != "Literal":
            raise azureml_error(400, "UserError", f"the input {key} must be a Literal")
        given[key] = each["value"]
    parameters = {**version.parameters, **given}
    missing = sorted(key for key, value in parameters.items() if not value)
    if missing:
        raise azureml_error(400, "UserError", f"missing inputs: {', '.join(missing)}")
    return parameters


def _found(state: State, name: str) -> EndpointRecord:
    found = state.endpoints.get(_key(name))
    if found is None:
        raise not_found(f"Batch endpoint {name}")
    return found


def _key(name: str) -> str:
    """A name is also a host's, which has no capitals."""
    return name.lower()


def check_name(name: str) -> None:
    fits = 3 <= len(name) <= 32 and name[0].isalpha() and name.replace("-", "").isalnum() and name[-1] != "-"
    if not fits or not name.isascii():
        raise arm_error(400, "UserError", f"the name {name} must be 3 to 32 letters, digits and hyphens")


def _check_tags(body: Json) -> None:
    tags = body.get("tags") or {}
    if len(tags) > 50 or any(len(value) > LONGEST_TAG for value in tags.values()):
        raise arm_error(400, "InvalidTagValueLength", f"at most 50 tags of {LONGEST_TAG} characters each")


def _endpoint(state: State, record: EndpointRecord) -> Json:
    chosen = {"deploymentName": record.versions[record.default].id} if record.default is not None else None
    host = f"https://{record.name.lower()}.{state.location}.inference.ml.azure.com"
    properties = {
        "authMode": "AADToken",
        "defaults": chosen,
        "description": record.description or None,
        "properties": record.properties,
        "scoringUri": f"{host}/jobs",
        "swaggerUri": f"{host}/swagger.json",
        "provisioningState": "Succeeded",
    }
    top = {"location": state.location, "tags": record.tags, "kind": None}
    return resource(state, f"batchEndpoints/{record.name}", properties, created=record.created_at, top=top)


def _deployment(state: State, record: EndpointRecord, version: VersionRecord) -> Json:
    properties = {**version.body["properties"], "provisioningState": "Succeeded"}
    top = {"location": state.location, "tags": version.tags}
    path = f"batchEndpoints/{record.name}/deployments/{version.id}"
    return resource(state, path, properties, created=version.created_at, top=top)


def _job(state: State, run: RunRecord) -> Json:
    properties = {
        "status": "Preparing",
        "created": now(),
        "inputData": (run.body.get("properties") or {}).get("inputData"),
    }
    return {"id": f"{state.arm_path}/jobs/{run.id}", "name": run.id, "type": "jobs", "properties": properties}
