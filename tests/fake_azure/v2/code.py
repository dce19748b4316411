"""Code assets (uploaded by a signature that the service hands out), environments, components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Answer, Json, Request, arm_error, now
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import State
from tests.fake_azure.v2 import bodies
from tests.fake_azure.v2.wire import checked, conflict, listing, not_found, own, put, resource

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("arm")
KINDS = {"codes": "Code", "environments": "Environment", "components": "Component"}
HASH = "hash_sha256"


@ROUTES.route("GET", "{WS}/codes/(?P<name>[^/]+)/versions")
def codes(azure: FakeAzure, request: Request, name: str) -> Answer:
    """Asked with the content's hash: the code that is there already is not uploaded again."""
    asked = request.query.get("hash")
    found = [item for item in own(azure.state, "codes").values() if not asked or _hash(item) == asked]
    return listing(azure, request, found)


@ROUTES.route("POST", "{WS}/codes/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/startPendingUpload")
def pending_upload(azure: FakeAzure, request: Request, name: str, version: str) -> Answer:
    bodies.pending_upload(request)
    state, container = azure.state, f"code-{name}"[:63].rstrip("-")
    own(state, "uploads")[(name, version)] = container
    url = azure.blobs.sas_url(container, permissions="rcwl")
    place = f"https://{state.account}.blob.core.windows.net:443/{container}"
    credential = {"credentialType": "SAS", "sasUri": url}
    reference = {"blobUri": place, "storageAccountArmId": None, "credential": credential}
    return {
        "pendingUploadId": name,
        "pendingUploadType": "TemporaryBlobReference",
        "blobReferenceForConsumption": reference,
    }


@ROUTES.route("GET", "{WS}/(?P<kind>environments|components)/(?P<name>[^/]+)")
def container(azure: FakeAzure, request: Request, kind: str, name: str) -> Answer:
    versions = [each for each in own(azure.state, kind).values() if _names(each)[0] == name]
    if not versions:
        raise not_found(f"{KINDS[kind]} container {name}")
    latest = _names(versions[-1])[1]
    following = str(int(latest) + 1) if latest.isdigit() else "1"
    return resource(azure.state, f"{kind}/{name}", {"latestVersion": latest, "nextVersion": following, "tags": {}})


@ROUTES.route("GET", "{WS}/(?P<kind>environments|components)/(?P<name>[^/]+)/versions")
def versions(azure: FakeAzure, request: Request, kind: str, name: str) -> Answer:
    found = [each for each in own(azure.state, kind).values() if _names(each)[0] == name]
    if not found:
        raise not_found(f"{KINDS[kind]} container {name}")
    return listing(azure, request, found)


@ROUTES.route("GET", "{WS}/(?P<kind>codes|environments|components)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)")
def version(azure: FakeAzure, request: Request, kind: str, name: str, version: str) -> Answer:
    found = own(azure.state, kind).get((name, version))
    if found is None:
        raise not_found(f"{KINDS[kind]} {name}:{version}")
    return found


@ROUTES.route("PUT", "{WS}/(?P<kind>codes|environments|components)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)")
def put_version(azure: FakeAzure, request: Request, kind: str, name: str, version: str) -> Answer:
    sent = checked(f"workspaces/{kind}/versions", request)["properties"]
    CHECKS[kind](azure, sent)
    table = own(azure.state, kind)
    found = table.get((name, version))
    if found is not None and _fixed(kind, found["properties"]) != _fixed(kind, sent):
        raise conflict(f"{KINDS[kind]} {name}:{version}")
    properties = {**sent, "provisioningState": "Succeeded"}
    created = found["systemData"]["createdAt"] if found else now()
    table[(name, version)] = resource(azure.state, f"{kind}/{name}/versions/{version}", properties, created=created)
    return put(found is not None, table[(name, version)])


def files_of(azure: FakeAzure, code_id: str) -> dict[str, bytes]:
    """What was uploaded as the code of that id: path to bytes."""
    name, _, version = code_id.partition("/codes/")[2].partition("/versions/")
    place = own(azure.state, "codes")[(name, version)]["properties"]["codeUri"]
    container, _, folder = place.partition(".net")[2].partition("/")[2].partition("/")
    paths = azure.blobs.list(container, f"{folder}/")
    return {path.removeprefix(f"{folder}/"): azure.blobs.get(container, path) for path in paths}


def component_of(azure: FakeAzure, component_id: str) -> Json:
    """The specification of a registered component. Azure's 404 for one that is not."""
    name, _, version = component_id.removeprefix("azureml:").partition("/components/")[2].partition("/versions/")
    found = own(azure.state, "components").get((name, version))
    if found is None:
        raise arm_error(404, "UserError", f"Component {component_id} was not found.")
    spec: Json = found["properties"]["componentSpec"]
    return spec


def _check_code(azure: FakeAzure, sent: Json) -> None:
    place = sent["codeUri"].replace(":443", "")
    containers = own(azure.state, "uploads").values()
    if not any(f".blob.core.windows.net/{each}" in place for each in containers):
        raise arm_error(400, "UserError", f"The code at {place} was not uploaded for this workspace.")


def _check_environment(azure: FakeAzure, sent: Json) -> None:
    if not sent.get("image") and not sent.get("build"):
        raise arm_error(400, "UserError", "Either an image or a build context is required.")


def _check_component(azure: FakeAzure, sent: Json) -> None:
    """What the service would look up: code, environment, cluster, the bindings of a pipeline's nodes."""
    spec = sent["componentSpec"]
    if spec.get("type") == "command":
        _exists(azure.state, "codes", spec["code"])
        _exists(azure.state, "environments", spec["environment"])
    for name, node in (spec.get("jobs") or {}).items():
        component_of(azure, str(node["componentId"]))
        cluster = str(node.get("computeId", "")).rpartition("/")[2]
        if cluster not in azure.state.computes:
            raise arm_error(400, "UserError", f"jobs.{name}: the compute {cluster!r} was not found.")
        _check_bindings(name, node, spec.get("inputs") or {})


def _check_bindings(name: str, node: Json, inputs: Json) -> None:
    for key, given in (node.get("inputs") or {}).items():
        value = str(given["value"])
        bound = value.removeprefix("${{parent.inputs.").removesuffix("}}")
        if value.startswith("${{") and bound not in inputs:
            raise arm_error(400, "UserError", f"jobs.{name}.inputs.{key}: the pipeline has no input {bound}")


def _exists(state: State, kind: str, id: str) -> None:
    name, _, version = id.removeprefix("azureml:").partition(f"/{kind}/")[2].partition("/versions/")
    if (name, version) not in own(state, kind):
        raise arm_error(400, "UserError", f"{KINDS[kind]} {id} was not found.")


def _fixed(kind: str, properties: Json) -> Any:
    """The part that cannot change: not tags, description, or where the same code lies."""
    keys = {"codes": (), "environments": ("image", "condaFile"), "components": ("componentSpec",)}[kind]
    return {key: properties.get(key) for key in keys}


def _names(item: Json) -> tuple[str, str]:
    name, _, version = item["id"].rpartition("/versions/")
    return name.rpartition("/")[2], version


def _hash(item: Json) -> str | None:
    value = (item["properties"].get("properties") or {}).get(HASH)
    return None if value is None else str(value)


CHECKS = {"codes": _check_code, "environments": _check_environment, "components": _check_component}
