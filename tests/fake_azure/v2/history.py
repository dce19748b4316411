"""The run history: every run whatever made it, its children, its experiment."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.fake_azure.messages import Answer, Json, Request, azureml_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import RunRecord, State
from tests.fake_azure.v2 import automl

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")


@ROUTES.route("GET", "/history/v1.0{WS}/runs/(?P<id>[^/]+)")
def run(azure: FakeAzure, request: Request, id: str) -> Answer:
    record = found(azure.state, id)
    automl.advance(azure, record)
    return run_body(azure.state, record)


@ROUTES.route("GET", "/history/v1.0{WS}/runs/(?P<id>[^/]+)/children")
def children(azure: FakeAzure, request: Request, id: str) -> Answer:
    found(azure.state, id)
    everything = [each for each in azure.state.runs.values() if each.parent == id]
    start = int(request.query.get("continuationtoken") or 0)
    page = [run_body(azure.state, each) for each in everything[start : start + 2]]
    more = start + 2 < len(everything)
    return {"value": page, "continuationToken": str(start + 2) if more else None, "nextLink": None}


@ROUTES.route("GET", "/history/v1.0{WS}/experimentids/(?P<id>[^/]+)")
def experiment(azure: FakeAzure, request: Request, id: str) -> Answer:
    for name in experiments(azure.state):
        if experiment_id(azure.state, name) == id:
            return {"experimentId": id, "name": name, "description": None, "tags": {}}
    raise azureml_error(404, "UserError", f"Experiment with id {id} was not found")


def found(state: State, id: str) -> RunRecord:
    if id not in state.runs:
        raise azureml_error(404, "UserError", f"Run {id} was not found")
    return state.runs[id]


def experiments(state: State) -> list[str]:
    """Names in the order in which they were first used."""
    made: list[str] = state.own.setdefault("history", {}).setdefault("experiments", [])
    for each in state.runs.values():
        if each.experiment not in made:
            made.append(each.experiment)
    return made


def experiment_id(state: State, name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(state.workspace_id), name))


def run_body(state: State, record: RunRecord) -> Json:
    error = {"error": {"code": "UserError", "message": record.error, "details": []}} if record.error else None
    return {
        "runId": record.id,
        "rootRunId": record.parent or record.id,
        "parentRunId": record.parent or None,
        "experimentId": experiment_id(state, record.experiment),
        "displayName": record.display_name or record.id,
        "runType": record.kind,
        "status": record.status,
        "tags": record.tags,
        "properties": record.properties,
        "createdUtc": record.created_at,
        "startTimeUtc": record.started_at or None,
        "endTimeUtc": record.ended_at or None,
        "error": error,
        "dataContainerId": f"dcid.{record.id}",
        "target": record.compute or None,
        "hidden": False,
    }
