"""Artifacts: files of runs and of uploads, as lists and as addresses with a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake_azure.messages import Answer, Json, Request, now
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import RunRecord
from tests.fake_azure.v1.wire import REST, checked, not_found, own

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")
RUNS = "ExperimentRun"
ROOT = r"/artifact/v2\.0{WS}/artifacts"
PAGE = 3


@ROUTES.route("POST", ROOT + r"/batch/metadata/(?P<origin>[^/]+)/(?P<container>[^/]+)")
def create(azure: FakeAzure, request: Request, origin: str, container: str) -> Answer:
    """Empty artifacts, each with an address for writing it."""
    body = checked(REST, "BatchArtifactCreateCommand", request)
    store = azure.state.artifact_container
    artifacts: Json = {}
    information: Json = {}
    for each in body["paths"]:
        path = each["path"]
        blob = f"{origin}/{container}/{path}"
        own(azure.state, "artifacts")[f"{origin}/{container}/{path}"] = (store, blob)
        artifacts[path] = _artifact(origin, container, path)
        information[path] = _information(origin, container, path, azure.blobs.sas_url(store, blob, permissions="rcw"))
    return {"artifacts": artifacts, "artifactContentInformation": information, "errors": {}}


@ROUTES.route("GET", ROOT + r"/contentinfo/(?P<origin>[^/]+)/(?P<container>[^/]+)/(?P<path>.+)")
def address(azure: FakeAzure, request: Request, origin: str, container: str, path: str) -> Answer:
    blobs = places(azure, origin, container)
    if path not in blobs:
        raise not_found(f"Artifact {path} of {container}")
    return _information(origin, container, path, azure.blobs.sas_url(*blobs[path]))


@ROUTES.route("GET", ROOT + r"/prefix/contentinfo/(?P<origin>[^/]+)/(?P<container>[^/]+)/(?P<path>.*)")
def addresses(azure: FakeAzure, request: Request, origin: str, container: str, path: str) -> Answer:
    blobs = places(azure, origin, container)
    found = [name for name in sorted(blobs) if name.startswith(path.rstrip("/"))]
    page, token = _page(request, found)
    values = [_information(origin, container, name, azure.blobs.sas_url(*blobs[name])) for name in page]
    return {"value": values, "continuationToken": token}


@ROUTES.route("GET", ROOT + rf"/(?P<origin>{RUNS}|LocalUpload)/(?P<container>[^/]+)")
def artifacts(azure: FakeAzure, request: Request, origin: str, container: str) -> Answer:
    page, token = _page(request, sorted(places(azure, origin, container)))
    return {"value": [_artifact(origin, container, path) for path in page], "continuationToken": token}


def places(azure: FakeAzure, origin: str, container: str) -> dict[str, tuple[str, str]]:
    """Each artifact's path, and the container and name of its blob."""
    prefix = f"{origin}/{container}/"
    known: dict[str, tuple[str, str]] = own(azure.state, "artifacts")
    found = {key.removeprefix(prefix): place for key, place in known.items() if key.startswith(prefix)}
    record = azure.state.runs.get(container.removeprefix("dcid.")) if origin == RUNS else None
    return {**found, **_of_run(azure, record)} if record else found


def _of_run(azure: FakeAzure, record: RunRecord) -> dict[str, tuple[str, str]]:
    return {path: (azure.state.artifact_container, blob) for path, blob in record.files.items()}


def _page(request: Request, names: list[str]) -> tuple[list[str], str | None]:
    start = int(request.query.get("continuationtoken") or 0)
    following = start + PAGE
    return names[start:following], str(following) if following < len(names) else None


def _artifact(origin: str, container: str, path: str) -> Json:
    where = {"origin": origin, "container": container, "path": path}
    return {"artifactId": f"{origin}/{container}/{path}", **where, "etag": None, "createdTime": now()}


def _information(origin: str, container: str, path: str, url: str) -> Json:
    return {"contentUri": url, "origin": origin, "container": container, "path": path}
