"""The model registry of SDK v1: assets, which are prefixes of artifacts, and versions of models on them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Answer, Json, Refused, Reply, Request, azureml_error, now
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import ModelRecord
from tests.fake_azure.v1 import artifacts
from tests.fake_azure.v1.wire import REST, check_version, checked, not_found, own, problems

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")
ROOT = r"/modelmanagement/v1\.0{WS}"
API_VERSION = "2018-11-19"
PAGE = 2
TAGS, TAG_LENGTH, FILES = 50, 1000, 1500


@ROUTES.route("POST", ROOT + "/assets")
def create_asset(azure: FakeAzure, request: Request) -> Answer:
    check_version(request, API_VERSION, needed=False)
    body = checked(REST, "Asset", request)
    asset = {**body, "id": uuid.uuid4().hex, "createdTime": now()}
    own(azure.state, "assets")[asset["id"]] = asset
    return asset


@ROUTES.route("GET", ROOT + "/assets/(?P<id>[^/]+)")
def asset(azure: FakeAzure, request: Request, id: str) -> Answer:
    check_version(request, API_VERSION, needed=False)
    found = own(azure.state, "assets").get(id)
    if found is None:
        raise not_found(f"Asset {id}")
    return found


@ROUTES.route("POST", ROOT + "/models")
def register(azure: FakeAzure, request: Request) -> Answer:
    """Every file of the asset must have arrived: the signature it was written with may have been the last good one."""
    check_version(request, API_VERSION, needed=False)
    body = checked(REST, "Model", request)
    tags = dict(body.get("kvTags") or {})
    _check_tags(tags)
    asset = own(azure.state, "assets").get(str(body["url"]).removeprefix("aml://asset/"))
    if asset is None:
        raise azureml_error(400, "UserError", f"the asset {body['url']} does not exist")
    container, prefix = _place(azure, asset)
    versions = azure.state.models.setdefault(body["name"], {})
    record = ModelRecord(body["name"], max(versions, default=0) + 1, container, prefix, tags)
    record.properties, record.description = dict(body.get("properties") or {}), body.get("description") or ""
    record.extra = {"url": body["url"], "framework": body.get("framework")}
    versions[record.version] = record
    return model_body(azure, record)


@ROUTES.route("GET", ROOT + "/models")
def models(azure: FakeAzure, request: Request) -> Answer:
    check_version(request, API_VERSION, needed=False)
    name = request.query.get("name")
    found = [
        record
        for each, versions in azure.state.models.items()
        if not name or each == name
        for record in reversed(versions.values())
    ]
    start = int(request.query.get("$skiptoken") or 0)
    page: Json = {"value": [model_body(azure, record) for record in found[start : start + PAGE]]}
    if start + PAGE < len(found):
        page["nextLink"] = f"https://{request.host}{request.path}?$skipToken={start + PAGE}"
    return page


@ROUTES.route("GET", ROOT + r"/models/(?P<id>[^/]+)")
def model(azure: FakeAzure, request: Request, id: str) -> Answer:
    check_version(request, API_VERSION, needed=False)
    return model_body(azure, _found(azure, id))


@ROUTES.route("PATCH", ROOT + r"/models/(?P<id>[^/]+)")
def change(azure: FakeAzure, request: Request, id: str) -> Answer:
    """Tags are replaced; properties are added to; anything else is immutable."""
    check_version(request, API_VERSION, needed=False)
    operations = request.json()
    wrong = problems(REST, "[JsonPatchOperation]", operations)
    if wrong or not operations:
        raise azureml_error(400, "UserError", "; ".join(wrong) or "no operation")
    record = _found(azure, id)
    for operation in operations:
        if operation["path"] == "/kvTags" and operation["op"] == "replace":
            _check_tags(operation["value"])
            record.tags = dict(operation["value"])
        elif operation["path"] == "/properties" and operation["op"] == "add":
            record.properties = {**operation["value"], **record.properties}
        else:
            raise azureml_error(400, "UserError", f"{operation['path']} cannot be changed")
    return model_body(azure, record)


def model_body(azure: FakeAzure, record: ModelRecord) -> Json:
    return {
        "id": f"{record.name}:{record.version}",
        "name": record.name,
        "version": record.version,
        "framework": record.extra.get("framework") or "Custom",
        "frameworkVersion": None,
        "url": record.extra.get("url") or _asset_url(azure, record),
        "mimeType": "application/json",
        "description": record.description,
        "createdTime": record.created_at,
        "modifiedTime": record.created_at,
        "unpack": False,
        "parentModelId": None,
        "runId": None,
        "experimentName": None,
        "kvTags": record.tags,
        "properties": record.properties,
        "derivedModelIds": [],
        "datasets": [],
    }


def _asset_url(azure: FakeAzure, record: ModelRecord) -> str:
    """A model of SDK v2 has an asset, too, once SDK v1 asks for it."""
    id = uuid.uuid5(uuid.UUID(azure.state.workspace_id), f"{record.name}:{record.version}").hex
    origin, container = "LocalUpload", f"model-{id}"
    known = own(azure.state, "artifacts")
    root = record.path.rstrip("/").rpartition("/")[2]
    for blob in azure.blobs.list(record.container, record.path):
        inside = blob.removeprefix(record.path.rstrip("/")).lstrip("/")
        known[f"{origin}/{container}/{root}/{inside}"] = (record.container, blob)
    details = [{"prefix": f"{origin}/{container}/{root}", "id": None}]
    own(azure.state, "assets")[id] = {"id": id, "name": record.name, "artifacts": details}
    return f"aml://asset/{id}"


def _place(azure: FakeAzure, asset: Json) -> tuple[str, str]:
    """The container and the prefix of an asset's blobs, all of which are there."""
    origin, container, root = asset["artifacts"][0]["prefix"].split("/", 2)
    places = {
        path: place for path, place in artifacts.places(azure, origin, container).items() if path.startswith(root)
    }
    if not places or len(places) > FILES:
        raise azureml_error(400, "UserError", f"an asset has 1 to {FILES} files, found {len(places)}")
    for path, (store, blob) in places.items():
        if blob not in azure.blobs.list(store, blob):
            raise azureml_error(400, "UserError", f"the file {path} was not uploaded")
    store, blob = next(iter(places.values()))
    return store, f"{origin}/{container}/{root}"


def _check_tags(tags: dict[str, Any]) -> None:
    if len(tags) > TAGS or any(not isinstance(v, str) or len(v) > TAG_LENGTH for v in tags.values()):
        raise azureml_error(400, "UserError", f"at most {TAGS} tags of at most {TAG_LENGTH} characters")


def _found(azure: FakeAzure, id: str) -> ModelRecord:
    """By `name:version`. Raises: 404 in this service's own shape."""
    name, _, version = id.rpartition(":")
    found = azure.state.models.get(name, {}).get(int(version) if version.isdigit() else -1)
    if found is None:
        body = {"code": "NotFound", "statusCode": 404, "message": "The request URI was not found", "details": []}
        raise Refused(Reply(404, {**body, "correlation": {"RequestId": "0" * 32}}))
    return found
