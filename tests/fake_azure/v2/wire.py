"""Resources as resource manager sends them, the check of every body, how a PUT behaves. Knows no resource's meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tests.fake_azure import types
from tests.fake_azure.messages import Json, Reply, Request, arm_error
from tests.fake_azure.state import State

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

# What the service takes from its own SDK although the published types say otherwise.
TAKEN = ("body.properties.properties.hash_version: expected string, found 2",)
PAGE = 2  # small, so that every client is seen to follow pages


def checked(resource: str, request: Request) -> Json:
    """The body, valid for `workspaces/…` in the version asked for. Raises: Azure's 400 that names what is wrong."""
    body = request.json()
    if not isinstance(body, dict):
        raise arm_error(400, "UserError", f"expected an object, found {body!r}")
    found = types.problems(resource, body, version=request.query.get("api-version", ""))
    wrong = [each for each in found if not each.startswith(TAKEN)]
    if wrong:
        raise arm_error(400, "UserError", "; ".join(wrong[:5]))
    return body


def resource(
    state: State, path: str, properties: Mapping[str, Any], *, created: str = "", top: Mapping[str, Any] | None = None
) -> Json:
    """`path` below the workspace, such as `models/caps/versions/1`."""
    words = path.split("/")
    made = {"createdBy": "fake", "createdByType": "Application", "createdAt": created, "lastModifiedAt": created}
    return {
        "id": f"{state.arm_path}/{path}",
        "name": words[-1],
        "type": "Microsoft.MachineLearningServices/workspaces/" + "/".join(words[::2]),
        "properties": dict(properties),
        "systemData": made if created else {},
        **(top or {}),
    }


def listing(azure: FakeAzure, request: Request, items: Iterable[Json]) -> Json:
    """One page; `nextLink` leads to the next."""
    everything = list(items)
    start = int(request.query.get("$skip", "0"))
    page = {"value": everything[start : start + PAGE]}
    if start + PAGE >= len(everything):
        return page
    query = {**request.query, "$skip": str(start + PAGE)}
    joined = "&".join(f"{key}={value}" for key, value in query.items())
    return {**page, "nextLink": f"https://{request.host}{request.path}?{joined}"}


def not_found(what: str) -> Exception:
    return arm_error(404, "UserError", f"{what} was not found.")


def conflict(what: str) -> Exception:
    return arm_error(409, "UserError", f"{what} already exists. It is immutable: use another version.")


def put(existed: bool, body: Json) -> Reply:
    return Reply(200 if existed else 201, body)


def own(state: State, name: str) -> dict[str, Any]:
    """A table that only v2 has."""
    found: dict[str, Any] = state.own.setdefault("v2", {}).setdefault(name, {})
    return found


def uri(state: State, datastore: str, path: str) -> str:
    workspace = state.arm_path.replace("/providers/Microsoft.MachineLearningServices", "")
    return f"azureml:/{workspace}/datastores/{datastore}/paths/{path}"


def whole(version: str) -> int:
    if not version.isdigit():
        raise arm_error(400, "UserError", f"this fake keeps whole-number versions, found {version!r}")
    return int(version)
