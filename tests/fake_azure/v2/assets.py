"""Data assets and models: containers with integer versions, immutable but for tags and description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Answer, Json, Request, arm_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import DataRecord, ModelRecord, State
from tests.fake_azure.v2.wire import checked, conflict, listing, not_found, put, resource, uri, whole

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("arm")
_URI = re.compile(r"azureml://(?:.*/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.+)")


@ROUTES.route("GET", "{WS}/data")
def data_names(azure: FakeAzure, request: Request) -> Answer:
    found = azure.state.data.items()
    return listing(azure, request, (_container(azure.state, "data", name, versions) for name, versions in found))


@ROUTES.route("GET", "{WS}/data/(?P<name>[^/]+)")
def data_name(azure: FakeAzure, request: Request, name: str) -> Answer:
    return _container(azure.state, "data", name, _named(azure.state.data, name, "Data"))


@ROUTES.route("GET", "{WS}/data/(?P<name>[^/]+)/versions")
def data_versions(azure: FakeAzure, request: Request, name: str) -> Answer:
    found = _named(azure.state.data, name, "Data").values()
    return listing(azure, request, (_data(azure.state, record) for record in reversed(list(found))))


@ROUTES.route("GET", "{WS}/data/(?P<name>[^/]+)/versions/(?P<version>[^/]+)")
def data_version(azure: FakeAzure, request: Request, name: str, version: str) -> Answer:
    return _data(azure.state, _version(azure.state.data, name, version, "Data"))


@ROUTES.route("PUT", "{WS}/data/(?P<name>[^/]+)/versions/(?P<version>[^/]+)")
def put_data(azure: FakeAzure, request: Request, name: str, version: str) -> Answer:
    sent = checked("workspaces/data/versions", request)["properties"]
    datastore, path = _place(azure.state, sent["dataUri"])
    versions = azure.state.data.setdefault(name, {})
    found = versions.get(whole(version))
    if found is not None and (found.datastore, found.path) != (datastore, path):
        raise conflict(f"Data version {name}:{version}")
    record = found or DataRecord(name, whole(version), sent["dataType"], datastore, path)
    record.tags, record.description = dict(sent.get("tags") or {}), sent.get("description") or ""
    versions[record.version] = record
    return put(found is not None, _data(azure.state, record))


@ROUTES.route("GET", "{WS}/models")
def model_names(azure: FakeAzure, request: Request) -> Answer:
    found = azure.state.models.items()
    return listing(azure, request, (_container(azure.state, "models", name, versions) for name, versions in found))


@ROUTES.route("GET", "{WS}/models/(?P<name>[^/]+)")
def model_name(azure: FakeAzure, request: Request, name: str) -> Answer:
    return _container(azure.state, "models", name, _named(azure.state.models, name, "Model"))


@ROUTES.route("GET", "{WS}/models/(?P<name>[^/]+)/versions")
def model_versions(azure: FakeAzure, request: Request, name: str) -> Answer:
    found = _named(azure.state.models, name, "Model").values()
    return listing(azure, request, (_model(azure.state, record) for record in reversed(list(found))))


@ROUTES.route("GET", "{WS}/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)")
def model_version(azure: FakeAzure, request: Request, name: str, version: str) -> Answer:
    return _model(azure.state, _version(azure.state.models, name, version, "Model"))


@ROUTES.route("PUT", "{WS}/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)")
def put_model(azure: FakeAzure, request: Request, name: str, version: str) -> Answer:
    sent = checked("workspaces/models/versions", request)["properties"]
    datastore, path = _place(azure.state, sent["modelUri"])
    container = azure.state.datastores[datastore].container
    versions = azure.state.models.setdefault(name, {})
    found = versions.get(whole(version))
    properties = dict(sent.get("properties") or {})
    if found is not None and (found.container, found.path) != (container, path):
        raise conflict(f"Model version {name}:{version}")
    if found is not None and not found.properties.items() <= {**found.properties, **properties}.items():
        raise arm_error(400, "UserError", "Properties cannot be changed once they are set.")
    record = found or ModelRecord(name, whole(version), container, path, extra={"datastore": datastore})
    record.extra["type"] = sent.get("modelType") or "custom_model"
    record.tags, record.description = dict(sent.get("tags") or {}), sent.get("description") or ""
    record.properties = {**record.properties, **properties}
    versions[record.version] = record
    return put(found is not None, _model(azure.state, record))


def _named(table: Mapping[str, dict[int, Any]], name: str, what: str) -> dict[int, Any]:
    if not table.get(name):
        raise not_found(f"{what} container {name}")
    return table[name]


def _version(table: Mapping[str, dict[int, Any]], name: str, version: str, what: str) -> Any:
    found = table.get(name, {}).get(int(version) if version.isdigit() else -1)
    if found is None:
        raise not_found(f"{what} {name}:{version}")
    return found


def _place(state: State, address: str) -> tuple[str, str]:
    """Datastore and path of an azureml:// address; Azure's 400 for one that is not there."""
    match = _URI.fullmatch(address)
    if match is None or match["datastore"] not in state.datastores:
        raise arm_error(400, "UserError", f"The address {address} leads to no datastore of this workspace.")
    return match["datastore"], match["path"]


def _container(state: State, kind: str, name: str, versions: Mapping[int, Any]) -> Json:
    latest = max(versions)
    properties: Json = {"isArchived": False, "latestVersion": str(latest), "nextVersion": str(latest + 1), "tags": {}}
    if kind == "data":
        properties["dataType"] = versions[latest].kind
    return resource(state, f"{kind}/{name}", properties, created=versions[min(versions)].created_at)


def _data(state: State, record: DataRecord) -> Json:
    properties = {
        "dataType": record.kind,
        "dataUri": uri(state, record.datastore, record.path),
        "isAnonymous": False,
        "isArchived": False,
        "description": record.description or None,
        "tags": record.tags,
        "properties": record.properties,
    }
    return resource(state, f"data/{record.name}/versions/{record.version}", properties, created=record.created_at)


def _model(state: State, record: ModelRecord) -> Json:
    datastore = record.extra.get("datastore") or _store_of(state, record.container)
    properties = {
        "modelType": record.extra.get("type", "custom_model"),
        "modelUri": uri(state, datastore, record.path),
        "flavors": {},
        "isAnonymous": False,
        "isArchived": False,
        "description": record.description or None,
        "tags": record.tags,
        "properties": record.properties,
    }
    return resource(state, f"models/{record.name}/versions/{record.version}", properties, created=record.created_at)


def _store_of(state: State, container: str) -> str:
    return next(store.name for store in state.datastores.values() if store.container == container)
