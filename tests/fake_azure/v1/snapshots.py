"""Snapshots of a folder: the files go to blob storage by signature, the tree of their hashes to this service."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Answer, Request, azureml_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.v1.wire import own

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")


@ROUTES.route("GET", r"/content/v1\.0{WS}/snapshots/latest/metadata")
def latest(azure: FakeAzure, request: Request) -> Answer:
    """Nothing yet: the client uploads every file."""
    return {"id": str(uuid.UUID(int=0)), "root": {}}


@ROUTES.route("POST", r"/content/v2\.0{WS}/snapshots/getblob")
def addresses(azure: FakeAzure, request: Request) -> Answer:
    """One address for each file, good for writing it once."""
    body = request.json()
    names = body.get("FileNames") if isinstance(body, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise azureml_error(400, "UserError", "FileNames must be a list of texts")
    folder = uuid.uuid4().hex
    container = azure.state.artifact_container
    paths = {name: f"snapshots/{folder}/{name}" for name in names}
    nodes = [
        {"fullName": name, "blobUri": azure.blobs.sas_url(container, path, permissions="rcw")}
        for name, path in paths.items()
    ]
    return {"fileNodes": nodes}


@ROUTES.route("POST", r"/content/v2\.0{WS}/snapshots/(?P<id>[0-9a-f-]{36})")
def create(azure: FakeAzure, request: Request, id: str) -> Answer:
    """Every file of the tree must be there: uploaded now, in its full size, or in the snapshot that it follows."""
    body = request.json()
    if not isinstance(body, dict) or not {"ParentSnapshotId", "FileRevisionList", "DirTreeNode", "Properties"} <= set(
        body
    ):
        raise azureml_error(400, "UserError", "a snapshot has a parent, revisions, a tree and properties")
    container = azure.state.artifact_container
    earlier = own(azure.state, "snapshots").get(body["ParentSnapshotId"], {"files": {}})["files"]
    sent = {node["FullName"]: _uploaded(azure, container, node) for node in body["FileRevisionList"]["FileNodes"]}
    files: dict[str, str] = {}
    for name in _names(body["DirTreeNode"]):
        if name not in sent and name not in earlier:
            raise azureml_error(400, "UserError", f"the snapshot lacks {name}")
        files[name] = sent.get(name) or earlier[name]
    own(azure.state, "snapshots")[id] = {"files": files, "tree": body["DirTreeNode"], "properties": body["Properties"]}
    return {"id": id}


def files_of(azure: FakeAzure, id: str) -> dict[str, bytes]:
    """What a snapshot holds, as a node of a cluster would get it."""
    snapshot: dict[str, Any] = own(azure.state, "snapshots")[id]
    container = azure.state.artifact_container
    return {name: azure.blobs.get(container, path) for name, path in snapshot["files"].items()}


def _uploaded(azure: FakeAzure, container: str, node: dict[str, Any]) -> str:
    path: str = node["BlobUri"].partition("?")[0].partition(f"/{container}/")[2]
    if path not in azure.blobs.list(container, path):
        raise azureml_error(400, "UserError", f"the snapshot lacks {node['FullName']}: it was not uploaded")
    if len(azure.blobs.get(container, path)) != node["FileSize"]:
        raise azureml_error(400, "UserError", f"{node['FullName']} has another size than was said")
    return path


def _names(node: dict[str, Any], folder: str = "") -> Iterator[str]:
    """The files of a tree of hashes."""
    children = node.get("children") or {}
    for child in children.values() if isinstance(children, dict) else children:
        path = f"{folder}{child['name']}"
        if child["type"] == "File":
            yield path
        else:
            yield from _names(child, f"{path}/")
