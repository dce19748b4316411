"""Datastores and computes at the resource manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake_azure.messages import Answer, Json, Request, arm_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import ComputeRecord, DatastoreRecord
from tests.fake_azure.v2.wire import checked, listing, not_found, put, resource

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("arm")
DEFAULT = "workspaceblobstore"


@ROUTES.route("GET", "{WS}/datastores")
def datastores(azure: FakeAzure, request: Request) -> Answer:
    found = list(azure.state.datastores.values())
    if request.query.get("isdefault", "").lower() == "true":
        found = [store for store in found if store.name == DEFAULT]
    return listing(azure, request, (_store(azure, store) for store in found))


@ROUTES.route("GET", "{WS}/datastores/(?P<name>[^/]+)")
def datastore(azure: FakeAzure, request: Request, name: str) -> Answer:
    if name not in azure.state.datastores:
        raise not_found(f"Datastore {name}")
    return _store(azure, azure.state.datastores[name])


@ROUTES.route("PUT", "{WS}/datastores/(?P<name>[^/]+)")
def put_datastore(azure: FakeAzure, request: Request, name: str) -> Answer:
    properties = checked("workspaces/datastores", request)["properties"]
    if properties["datastoreType"] != "AzureBlob":
        raise arm_error(400, "UserError", "this fake has blob containers only")
    if properties["credentials"]["credentialsType"] != "None":
        raise arm_error(403, "AuthorizationFailed", "keys are switched off in this workspace: use identity")
    existed = name in azure.state.datastores
    record = DatastoreRecord(name, properties["accountName"], properties["containerName"])
    azure.state.datastores[name] = record
    return put(existed, _store(azure, record))


@ROUTES.route("POST", "{WS}/datastores/(?P<name>[^/]+)/listSecrets")
def secrets(azure: FakeAzure, request: Request, name: str) -> Answer:
    """Whatever is asked: this workspace has none."""
    raise arm_error(400, "UserError", f"No secrets for the identity-based datastore {name}.")


@ROUTES.route("GET", "{WS}/computes")
def computes(azure: FakeAzure, request: Request) -> Answer:
    return listing(azure, request, (_compute(azure, compute) for compute in azure.state.computes.values()))


@ROUTES.route("GET", "{WS}/computes/(?P<name>[^/]+)")
def compute(azure: FakeAzure, request: Request, name: str) -> Answer:
    if name not in azure.state.computes:
        raise arm_error(404, "ResourceNotFound", f"Compute with name {name} was not found.")
    return _compute(azure, azure.state.computes[name])


def _store(azure: FakeAzure, record: DatastoreRecord) -> Json:
    properties = {
        "datastoreType": "AzureBlob",
        "accountName": record.account,
        "containerName": record.container,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "credentials": {"credentialsType": record.credentials},
        "serviceDataAccessAuthIdentity": "None",
        "isDefault": record.name == DEFAULT,
        "description": None,
        "tags": {},
        "properties": None,
    }
    return resource(azure.state, f"datastores/{record.name}", properties, created=record.created_at)


def _compute(azure: FakeAzure, record: ComputeRecord) -> Json:
    scale = {"minNodeCount": record.min_nodes, "maxNodeCount": record.max_nodes}
    cluster = {
        "vmSize": record.size,
        "vmPriority": "Dedicated",
        "osType": "Linux",
        "scaleSettings": {**scale, "nodeIdleTimeBeforeScaleDown": f"PT{record.idle_seconds}S"},
        "remoteLoginPortPublicAccess": "Disabled",
        "enableNodePublicIp": True,
        "allocationState": "Steady",
        "currentNodeCount": 0,
        "targetNodeCount": 0,
    }
    properties = {
        "computeType": "AmlCompute",
        "computeLocation": record.location,
        "provisioningState": record.state,
        "disableLocalAuth": True,
        "properties": cluster,
    }
    identity = {"identity": {"type": "SystemAssigned"}, "location": record.location}
    return resource(azure.state, f"computes/{record.name}", properties, top=identity)
