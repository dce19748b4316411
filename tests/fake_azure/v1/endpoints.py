"""Pipeline endpoints: versions of published pipelines under one name, counted from 0; submitting one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.fake_azure.messages import Answer, Json, Request, azureml_error, now
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import EndpointRecord, RunRecord, VersionRecord
from tests.fake_azure.v1 import pipelines
from tests.fake_azure.v1.wire import PIPELINES, bodiless, checked, not_found, own

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")


@ROUTES.route("GET", r"/pipelines/v1\.0{WS}/PipelineEndpoints")
def endpoints(azure: FakeAzure, request: Request) -> Answer:
    active = request.query.get("activeonly") == "true"
    found = [record for record in azure.state.endpoints.values() if record.generation == "v1"]
    return [_body(azure, each) for each in found if not active or not each.extra.get("disabled")]


@ROUTES.route("GET", r"/pipelines/v1\.0{WS}/PipelineEndpoints/Name")
def by_name(azure: FakeAzure, request: Request) -> Answer:
    name = request.query.get("name", "")
    found = azure.state.endpoints.get(name)
    if found is None or found.generation != "v1":
        raise not_found(f"PipelineEndpoint with name {name}")
    return _body(azure, found)


@ROUTES.route("POST", r"/pipelines/v1\.0{WS}/PipelineEndpoints/Create")
def create(azure: FakeAzure, request: Request) -> Answer:
    body = checked(PIPELINES, "PipelineEndpointCreationInfo", request)
    if body["Name"] in azure.state.endpoints:
        raise azureml_error(409, "UserError", f"PipelineEndpoint {body['Name']} already exists.")
    record = EndpointRecord(body["Name"], "v1", default=0, description=body.get("Description") or "")
    record.versions[0] = _version(azure, 0, body["PipelineId"])
    azure.state.endpoints[record.name] = record
    return _body(azure, record)


@ROUTES.route("GET", r"/pipelines/v1\.0{WS}/PipelineEndpoints(/Id)?/(?P<id>[0-9a-f-]{36})")
def by_id(azure: FakeAzure, request: Request, id: str) -> Answer:
    return _body(azure, _found(azure, id))


@ROUTES.route("PUT", r"/pipelines/v1\.0{WS}/PipelineEndpoints(/Id)?/(?P<id>[0-9a-f-]{36})")
def update(azure: FakeAzure, request: Request, id: str) -> Answer:
    """Versions can be added and the default be another of them; nothing that was published goes away."""
    body = checked(PIPELINES, "PipelineEndpointEntity", request)
    record = _found(azure, id)
    listed = {int(each["Version"]): each["PipelineId"] for each in body["PipelineVersionList"]}
    for number, version in record.versions.items():
        if listed.get(number) != version.id:
            raise azureml_error(400, "UserError", f"version {number} cannot be changed or removed")
    for number in sorted(set(listed) - set(record.versions)):
        record.versions[number] = _version(azure, number, listed[number])
    if int(body["DefaultVersion"]) not in record.versions:
        raise azureml_error(400, "UserError", f"the default {body['DefaultVersion']} is no version")
    record.default = int(body["DefaultVersion"])
    record.description = body.get("Description") or ""
    record.extra["disabled"] = str(body.get("EntityStatus")) in ("2", "Disabled")
    return _body(azure, record)


@ROUTES.route("GET", r"/pipelines/v1\.0{WS}/PipelineEndpoints/(?P<id>[0-9a-f-]{36})/pipelines")
def published(azure: FakeAzure, request: Request, id: str) -> Answer:
    return [pipelines.entity(azure, version.id) for version in _found(azure, id).versions.values()]


@ROUTES.route(
    "POST", r"/pipelines/v1\.0{WS}/PipelineRuns/PipelineEndpointSubmit/Id/(?P<id>[0-9a-f-]{36})(/(?P<version>\d+))?"
)
def submit(azure: FakeAzure, request: Request, id: str, version: str) -> Answer:
    """Also what is submitted over REST: a run that names the published parameters and no others."""
    body = checked(PIPELINES, "PipelineSubmissionInfo", request)
    record = _found(azure, id)
    number = int(version) if version else record.default
    if number not in record.versions:
        raise azureml_error(404, "UserError", f"{record.name} has no version {number}")
    chosen = record.versions[number]
    given = body.get("ParameterAssignments") or {}
    unknown = sorted(set(given) - set(chosen.parameters))
    if unknown or not body.get("ExperimentName"):
        raise azureml_error(400, "UserError", f"ExperimentName is required; unknown parameters: {', '.join(unknown)}")
    run = RunRecord(
        id=str(uuid.uuid4()),
        experiment=body["ExperimentName"],
        kind="azureml.PipelineRun",
        parameters={**chosen.parameters, **given},
        body=body,
        extra={"endpoint": record.name, "version": number, "pipeline": chosen.id},
    )
    run.properties = {"azureml.runsource": "azureml.PipelineRun", "azureml.pipelineid": chosen.id}
    azure.state.runs[run.id] = run
    _add_step(azure, run)
    return run_body(run)


@ROUTES.route("GET", r"/pipelines/v1\.0{WS}/PipelineRuns/(?P<id>[0-9a-f-]{36})")
def pipeline_run(azure: FakeAzure, request: Request, id: str) -> Answer:
    if id not in azure.state.runs:
        raise not_found(f"PipelineRun {id}")
    return run_body(azure.state.runs[id])


@ROUTES.route("DELETE", r"/pipelines/v1\.0{WS}/PipelineRuns/(?P<id>[0-9a-f-]{36})/Execution")
def cancel(azure: FakeAzure, request: Request, id: str) -> Answer:
    bodiless(request)
    if id not in azure.state.runs:
        raise not_found(f"PipelineRun {id}")
    for run in azure.state.runs.values():
        if id in (run.id, run.parent) and run.status in ("NotStarted", "Running"):
            run.status, run.ended_at = "Canceled", now()
    return {}


def run_body(run: RunRecord) -> Json:
    codes = {"NotStarted": "0", "Running": "1", "Failed": "2", "Completed": "3", "Canceled": "4"}
    return {
        "Id": run.id,
        "Description": run.experiment,
        "Status": {"StatusCode": codes.get(run.status, "1"), "StatusDetail": run.error or None, "CreationTime": now()},
        "ParameterAssignments": run.parameters,
        "RunHistoryExperimentName": run.experiment,
        "PipelineId": run.extra.get("pipeline"),
        "RunSource": "SDK",
        "RunType": "SDK",
        "TotalRunSteps": 1,
        "CreatedDate": run.created_at,
    }


def _add_step(azure: FakeAzure, run: RunRecord) -> None:
    body = own(azure.state, "pipelines")[run.extra["pipeline"]]["body"]
    for node in pipelines.nodes(body):
        target = next(p["Value"] for p in node["ModuleParameters"] if p["Name"] == "Target")
        step = RunRecord(id=str(uuid.uuid4()), experiment=run.experiment, kind="azureml.StepRun", parent=run.id)
        step.compute, step.extra = target, {"module": node["ModuleId"]}
        azure.state.runs[step.id] = step


def _version(azure: FakeAzure, number: int, pipeline_id: str) -> VersionRecord:
    kept = own(azure.state, "pipelines").get(pipeline_id)
    if kept is None:
        raise azureml_error(400, "UserError", f"the pipeline {pipeline_id} does not exist")
    body = kept["body"]
    return VersionRecord(
        id=pipeline_id,
        version=number,
        description=body.get("Description") or "",
        parameters=pipelines.defaults(body),
        properties=dict(body.get("Properties") or {}),
        created_at=kept["created"],
        body=body,
    )


def _found(azure: FakeAzure, id: str) -> EndpointRecord:
    found = next((record for record in azure.state.endpoints.values() if record.id == id), None)
    if found is None:
        raise not_found(f"PipelineEndpoint {id}")
    return found


def _body(azure: FakeAzure, record: EndpointRecord) -> Json:
    address = f"https://{azure.state.location}.api.azureml.ms/pipelines/v1.0{azure.state.arm_path}"
    return {
        "Id": record.id,
        "Name": record.name,
        "Description": record.description,
        "DefaultVersion": None if record.default is None else str(record.default),
        "PipelineVersionList": [
            {"Version": str(number), "PipelineId": version.id} for number, version in sorted(record.versions.items())
        ],
        "Url": f"{address}/PipelineRuns/PipelineEndpointSubmit/Id/{record.id}",
        "SwaggerUrl": f"{address}/PipelineRuns/PipelineEndpointSubmit/Id/{record.id}/swagger",
        "EntityStatus": "2" if record.extra.get("disabled") else "0",
        "CreatedDate": record.created_at,
        "LastModifiedDate": record.created_at,
        "Properties": record.properties,
        "tags": record.tags,
    }
