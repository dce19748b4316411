"""Datastores and clusters as SDK v1 asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake_azure.messages import Answer, Json, Request, azureml_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import ComputeRecord, DatastoreRecord, State
from tests.fake_azure.v1.wire import REST, check_version, checked, not_found

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")
DEFAULT = "workspaceblobstore"
API_VERSION = "2020-02-02"
NODE_STATES = ("preparing", "running", "idle", "unusable", "leaving", "preempted")


@ROUTES.route("GET", r"/datastore/v1\.0{WS}/default")
def default(azure: FakeAzure, request: Request) -> Answer:
    return _store(azure.state.datastores[DEFAULT])


@ROUTES.route("GET", r"/datastore/v1\.0{WS}/datastores")
def datastores(azure: FakeAzure, request: Request) -> Answer:
    return {"value": [_store(store) for store in azure.state.datastores.values()], "continuationToken": None}


@ROUTES.route("GET", r"/datastore/v1\.0{WS}/datastores/(?P<name>[^/]+)")
def datastore(azure: FakeAzure, request: Request, name: str) -> Answer:
    if name not in azure.state.datastores:
        raise not_found(f"Datastore {name}")
    return _store(azure.state.datastores[name])


@ROUTES.route("POST", r"/datastore/v1\.0{WS}/datastores")
def create(azure: FakeAzure, request: Request) -> Answer:
    body = checked(REST, "DataStore", request)
    section = body.get("azureStorageSection") or {}
    if body["dataStoreType"] != "AzureBlob" or section.get("credentialType") not in (None, "None"):
        raise azureml_error(403, "UserError", "Keys are switched off in this workspace: use identity.")
    if any(section.get(key) for key in ("credential", "accountKey", "sasToken")):
        raise azureml_error(403, "UserError", "Keys are switched off in this workspace: use identity.")
    if body["name"] in azure.state.datastores:
        raise azureml_error(400, "UserError", "Another datastore with the same name already exists")
    record = DatastoreRecord(body["name"], section["accountName"], section["containerName"])
    azure.state.datastores[record.name] = record
    return _store(record)


@ROUTES.route("GET", r"/rp/workspaces{WS}/computes")
def computes(azure: FakeAzure, request: Request) -> Answer:
    check_version(request, API_VERSION)
    return {"value": [_compute(azure.state, compute) for compute in azure.state.computes.values()]}


@ROUTES.route("GET", r"/rp/workspaces{WS}/computes/(?P<name>[^/]+)")
def compute(azure: FakeAzure, request: Request, name: str) -> Answer:
    check_version(request, API_VERSION)
    if name not in azure.state.computes:
        raise not_found(f"Compute {name}")
    return _compute(azure.state, azure.state.computes[name])


def _store(record: DatastoreRecord) -> Json:
    section = {
        "accountName": record.account,
        "containerName": record.container,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "credentialType": record.credentials,
        "serviceDataAccessAuthIdentity": "None",
    }
    return {
        "name": record.name,
        "dataStoreType": "AzureBlob",
        "hasBeenValidated": True,
        "tags": {},
        "azureStorageSection": section,
    }


def _compute(state: State, record: ComputeRecord) -> Json:
    scale = {
        "minNodeCount": record.min_nodes,
        "maxNodeCount": record.max_nodes,
        "nodeIdleTimeBeforeScaleDown": f"PT{record.idle_seconds}S",
    }
    cluster = {
        "vmSize": record.size,
        "vmPriority": "Dedicated",
        "scaleSettings": scale,
        "subnet": None,
        "allocationState": "Steady",
        "remoteLoginPortPublicAccess": "Disabled",
        "currentNodeCount": 0,
        "targetNodeCount": 0,
        "nodeStateCounts": {f"{state}NodeCount": 0 for state in NODE_STATES},
        "errors": None,
        "allocationStateTransitionTime": "2026-01-05T09:00:00+00:00",
    }
    properties = {
        "computeType": "AmlCompute",
        "computeLocation": record.location,
        "description": None,
        "createdOn": "2026-01-05T09:00:00.0000000+00:00",
        "modifiedOn": "2026-01-05T09:00:00.0000000+00:00",
        "provisioningState": record.state,
        "provisioningErrors": None,
        "resourceId": None,
        "isAttachedCompute": False,
        "properties": cluster,
    }
    where = f"{state.arm_path}/computes/{record.name}"
    return {"id": where, "name": record.name, "location": state.location, "tags": None, "properties": properties}
