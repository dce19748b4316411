"""The pipeline service: data types, modules, published pipelines. Every body is what the SDK's models allow."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.fake_azure.messages import Answer, Json, Request, azureml_error, now
from tests.fake_azure.routes import Routes
from tests.fake_azure.v1.wire import PIPELINES, checked, not_found, own

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROUTES = Routes("azureml")
TYPES = (
    "AnyFile",
    "AzureBlobReference",
    "AzureDataLakeReference",
    "AzureFilesReference",
    "AzureSqlDatabaseReference",
    "AzurePostgresDatabaseReference",
    "AzureDataLakeGen2Reference",
    "AzureMLDataset",
    "AzureMySqlDatabaseReference",
    "DBFSReference",
)
OF_A_MODULE = (
    "Name",
    "Description",
    "StructuredInterface",
    "IdentifierHash",
    "StepType",
    "IsDeterministic",
    "Properties",
)


@ROUTES.route("GET", r"/pipelines/v1\.0{WS}/DataTypes")
def data_types(azure: FakeAzure, request: Request) -> Answer:
    return [_data_type(name, directory=False) for name in TYPES] + [_data_type("AnyDirectory", directory=True)]


@ROUTES.route("GET", r"/pipelines/v1\.0{WS}/Modules/Hash/(?P<hash>[^/]+)")
def module_by_hash(azure: FakeAzure, request: Request, hash: str) -> Answer:
    raise not_found(f"Module with hash {hash}")


@ROUTES.route("POST", r"/pipelines/v1\.0{WS}/Modules")
def create_module(azure: FakeAzure, request: Request) -> Answer:
    body = checked(PIPELINES, "ModuleCreationInfo", request)
    if body["StorageId"] not in own(azure.state, "snapshots"):
        raise azureml_error(400, "UserError", f"the snapshot {body['StorageId']} does not exist")
    id = str(uuid.uuid4())
    own(azure.state, "modules")[id] = body
    return _module(id, body)


@ROUTES.route("GET", r"/pipelines/v1\.0{WS}/Modules/(?P<id>[0-9a-f-]{36})")
def module(azure: FakeAzure, request: Request, id: str) -> Answer:
    body = own(azure.state, "modules").get(id)
    if body is None:
        raise not_found(f"Module {id}")
    said = body["StructuredInterface"]
    ports = {side: [_port(port) for port in said[side]] for side in ("Inputs", "Outputs")}
    interface = {"Ports": ports, "MetadataParameters": [_parameter(each) for each in said["MetadataParameters"]]}
    interface["Parameters"] = [_parameter(each) for each in said["Parameters"]]
    return {"Data": _module(id, body), "Interface": interface}


@ROUTES.route("POST", r"/pipelines/v1\.0{WS}/Pipelines/Create")
def create_pipeline(azure: FakeAzure, request: Request) -> Answer:
    """Publishing: a graph of modules that exist, on clusters that exist."""
    body = checked(PIPELINES, "PipelineCreationInfo", request)
    for node in nodes(body):
        if node["ModuleId"] not in own(azure.state, "modules"):
            raise azureml_error(400, "UserError", f"the module {node['ModuleId']} does not exist")
        target = next(p["Value"] for p in node["ModuleParameters"] if p["Name"] == "Target")
        if target not in azure.state.computes:
            raise azureml_error(400, "UserError", f"the compute target {target} does not exist")
    id = str(uuid.uuid4())
    own(azure.state, "pipelines")[id] = {"body": body, "created": now()}
    return entity(azure, id)


@ROUTES.route("GET", r"/pipelines/v1\.0{WS}/Pipelines/(?P<id>[0-9a-f-]{36})")
def pipeline(azure: FakeAzure, request: Request, id: str) -> Answer:
    if id not in own(azure.state, "pipelines"):
        raise not_found(f"Pipeline {id}")
    return entity(azure, id)


def entity(azure: FakeAzure, id: str) -> Json:
    """A published pipeline as the service sends it."""
    kept: dict[str, Any] = own(azure.state, "pipelines")[id]
    body = kept["body"]
    address = f"https://{azure.state.location}.api.azureml.ms/pipelines/v1.0{azure.state.arm_path}"
    return {
        "Id": id,
        "Name": body["Name"],
        "Description": body.get("Description"),
        "Version": body.get("Version"),
        "GraphId": str(uuid.uuid5(uuid.UUID(id), "graph")),
        "TotalRunSteps": len(nodes(body)),
        "ParameterAssignments": defaults(body),
        "Url": f"{address}/PipelineRuns/PipelineSubmit/{id}",
        "EntityStatus": "0",
        "CreatedDate": kept["created"],
        "LastModifiedDate": kept["created"],
        "Properties": body.get("Properties") or {},
        "ContinueRunOnStepFailure": bool(body.get("ContinueRunOnStepFailure")),
    }


def nodes(body: Json) -> list[Json]:
    found: list[Json] = body["Graph"].get("ModuleNodes") or []
    return found


def defaults(body: Json) -> dict[str, str]:
    """The pipeline's parameters and their default values."""
    return {each["Name"]: each["DefaultValue"] for each in body["GraphInterface"]["Parameters"]}


def _module(id: str, body: Json) -> Json:
    entity = {"Id": id, "UploadState": "1", "EntityStatus": "0", "CreatedDate": now()}
    return {**entity, **{key: body.get(key) for key in OF_A_MODULE}}


def _port(port: Json) -> Json:
    kinds = port.get("DataTypeIdsList") or [port.get("DataTypeId")]
    return {"Name": port["Name"], "DataTypesIds": kinds, "DataTypeId": kinds[0], "IsOptional": port.get("IsOptional")}


def _parameter(parameter: Json) -> Json:
    value = {"Name": parameter["Name"], "DefaultValue": parameter.get("DefaultValue")}
    return {**value, "IsOptional": parameter.get("IsOptional"), "Type": "String"}


def _data_type(name: str, *, directory: bool) -> Json:
    return {"Id": name, "Name": name, "Description": name, "IsDirectory": directory, "ParentDataTypeIds": []}
