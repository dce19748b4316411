"""The data set registry of SDK v1. A name has one description and one set of tags: those of its newest version."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Answer, Json, Request, azureml_error
from tests.fake_azure.routes import Routes
from tests.fake_azure.state import DataRecord
from tests.fake_azure.v1.wire import REST, checked, not_found

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")
PAGE = 2
ROOT = r"/dataset/v1\.0{WS}"


@ROUTES.route("GET", ROOT + "/datasets")
def datasets(azure: FakeAzure, request: Request) -> Answer:
    names = sorted(azure.state.datasets)
    start = int(request.query.get("continuationtoken") or 0)
    following = start + PAGE
    found = [body(azure, _latest(azure, name)) for name in names[start:following]]
    return {"value": found, "continuationToken": str(following) if following < len(names) else None}


@ROUTES.route("GET", ROOT + "/datasets/query/name=(?P<name>[^/]+)")
def by_name(azure: FakeAzure, request: Request, name: str) -> Answer:
    versions = azure.state.datasets.get(name) or {}
    number = int(request.query.get("versionid") or max(versions, default=0))
    if number not in versions:
        raise not_found(f"Dataset {name} version {number}")
    return body(azure, versions[number])


@ROUTES.route("POST", ROOT + "/datasets")
def register(azure: FakeAzure, request: Request) -> Answer:
    sent = checked(REST, "DatasetDto", request)
    versions = azure.state.datasets.setdefault(sent["name"], {})
    if versions and request.query.get("updatedefinitionifexists") != "true":
        raise azureml_error(409, "UserError", f"There is already a dataset named {sent['name']}.")
    definition = sent["latest"]
    datastore, path = _source(definition["dataflow"])
    if datastore not in azure.state.datastores:
        raise azureml_error(400, "UserError", f"the datastore {datastore} does not exist")
    if sent["datasetType"] not in ("tabular", "file"):
        raise azureml_error(400, "UserError", f"a data set is tabular or file, found {sent['datasetType']}")
    record = DataRecord(sent["name"], max(versions, default=0) + 1, sent["datasetType"], datastore, path)
    record.description = sent.get("description") or ""
    record.tags = dict(sent.get("tags") or {})
    record.extra = {"dataflow": definition["dataflow"], "properties": definition.get("properties") or {}}
    versions[record.version] = record
    return body(azure, record)


@ROUTES.route("POST", ROOT + "/saveddatasets")
def ensure_saved(azure: FakeAzure, request: Request) -> Answer:
    sent = checked(REST, "SavedDatasetDto", request)
    return {**sent, "id": str(uuid.uuid4())}


@ROUTES.route("GET", r"/data/v1\.0{WS}/dataversion/unregistered-(?P<id>[^/]+)/versions/1")
def definition(azure: FakeAzure, request: Request, id: str) -> Answer:
    """The definition in the newer tongue alone, which the SDK reads a data set by."""
    for versions in azure.state.datasets.values():
        for record in versions.values():
            if record.id == id:
                return {"legacyDataflow": _yaml(azure, record), "dataVersion": {"dataType": "mltable"}}
    raise not_found(f"Data version unregistered-{id}")


def body(azure: FakeAzure, record: DataRecord) -> Json:
    """One version as the registry sends it; the tags are the name's."""
    newest = _latest(azure, record.name)
    identity = str(uuid.uuid5(uuid.UUID(azure.state.workspace_id), record.name))
    latest = {
        "datasetId": identity,
        "versionId": str(record.version),
        "datasetDefinitionState": {"state": "active", "deprecatedBy": None, "etag": None},
        "dataflow": record.extra.get("dataflow") or _labelled(record),
        "dataPath": None,
        "properties": record.extra.get("properties") or {},
        "savedDatasetId": record.id,
        "createdTime": record.created_at,
        "modifiedTime": record.created_at,
    }
    return {
        "datasetId": identity,
        "datasetState": {"state": "active", "deprecatedBy": None, "etag": None},
        "latest": latest,
        "createdTime": record.created_at,
        "modifiedTime": newest.created_at,
        "name": record.name,
        "description": newest.description,
        "tags": newest.tags,
        "isVisible": True,
        "datasetType": record.kind,
    }


def _latest(azure: FakeAzure, name: str) -> DataRecord:
    versions = azure.state.datasets[name]
    return versions[max(versions)]


def _labelled(record: DataRecord) -> str:
    """What data labelling's export stores: blocks of the older tongue."""
    arguments: dict[str, Any] = {"datastores": [{"datastoreName": record.datastore, "path": record.path}]}
    blocks = [
        {"id": str(uuid.uuid4()), "type": "Microsoft.DPrep.GetDatastoreFilesBlock", "arguments": arguments},
        {"id": str(uuid.uuid4()), "type": "Microsoft.DPrep.ParseJsonLinesBlock", "arguments": {"encoding": 0}},
    ]
    return json.dumps({"blocks": blocks, "inspectors": [], "meta": {"savedDatasetId": record.id}})


def _yaml(azure: FakeAzure, record: DataRecord) -> str:
    dataflow = json.loads(record.extra["dataflow"]) if "dataflow" in record.extra else {}
    kept = (dataflow.get("meta") or {}).get("RsDataflow")
    state = azure.state
    place = f"subscriptions/{state.subscription}/resourcegroups/{state.resource_group}/workspaces/{state.workspace}"
    address = f"azureml://{place}/datastores/{record.datastore}/paths/{record.path}"
    return kept or f"paths:\n- file: {address}\ntransformations:\n- read_json_lines:\n    encoding: utf8\n"


def _source(dataflow: str) -> tuple[str, str]:
    """The file that the newer tongue names; its own reading, not that of the code under test."""
    import yaml

    text = json.loads(dataflow)["meta"]["RsDataflow"]
    address = next(iter(yaml.safe_load(text)["paths"][0].values()))
    datastore, _, path = str(address).partition("/datastores/")[2].partition("/paths/")
    return datastore, path
