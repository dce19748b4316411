"""What the fake's subscription and workspace hold: plain records, the same for both generations. No behaviour.

A generation keeps what only it needs in `extra` of a record, or in `State.own[<its name>]`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.fake_azure.messages import now

MANAGED_IDENTITY = "5c1ab0fe-0000-4000-8000-00000000c1a5"
SERVICE_PRINCIPAL = "5e41ce00-0000-4000-8000-0000000c0ec7"
TENANT = "7e4a4700-0000-4000-8000-000000000001"
SUBSCRIPTION = "50b5c419-0000-4000-8000-000000000001"


@dataclass
class DatastoreRecord:
    """`credentials` is the kind that the service keeps with it, None (a word) as infrastructure/ makes them."""

    name: str
    account: str
    container: str
    credentials: str = "None"
    created_at: str = field(default_factory=now)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class ComputeRecord:
    """A cluster. `state` is the provisioning state."""

    name: str
    size: str
    min_nodes: int = 0
    max_nodes: int = 1
    idle_seconds: int = 600
    state: str = "Succeeded"
    location: str = "westeurope"
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class DataRecord:
    """One version of a data set. `kind`: mltable, uri_file, uri_folder (v2's registry) or tabular, file (v1's)."""

    name: str
    version: int
    kind: str
    datastore: str
    path: str  # in the datastore
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    description: str = ""
    created_at: str = field(default_factory=now)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class ModelRecord:
    """One version of a registered model; its files lie under `path` of a container of the workspace's account."""

    name: str
    version: int
    container: str
    path: str
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    description: str = ""
    created_at: str = field(default_factory=now)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class RunRecord:
    """A run of either generation. `files` maps an artifact's path to its blob's name in `State.default_container`."""

    id: str
    experiment: str
    status: str = "NotStarted"
    kind: str = ""  # azureml.PipelineRun, automl, …
    display_name: str = ""
    parent: str = ""
    compute: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    error: str = ""
    created_at: str = field(default_factory=now)
    started_at: str = ""
    ended_at: str = ""
    body: Any = None  # what was submitted
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class VersionRecord:
    """One published version of an endpoint (a published pipeline, a deployment)."""

    id: str
    version: int
    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    created_at: str = field(default_factory=now)
    body: Any = None  # what was published
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class EndpointRecord:
    name: str
    generation: str  # v1 | v2
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    default: int | None = None
    description: str = ""
    versions: dict[int, VersionRecord] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    created_at: str = field(default_factory=now)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class State:
    """One subscription with one workspace. Every test has another `workspace_id`, and so containers of its own."""

    tenant: str = TENANT
    subscription: str = SUBSCRIPTION
    resource_group: str = "cva-rg"
    workspace: str = "cva-aml"
    location: str = "westeurope"
    account: str = "cvastorage"
    edge_account: str = "cvaedge"
    workspace_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    # who may log in: the service connection's principal and the cluster's identity
    client_id: str = SERVICE_PRINCIPAL
    managed_client_id: str = MANAGED_IDENTITY
    service_connection: str = "aml-workspace-connection"
    subject: str = "sc://fake-organization/fake-project/aml-workspace-connection"
    system_access_token: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)
    identity_secret: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)
    metadata_service: bool = False  # whether 169.254.169.254 answers, as on a virtual machine

    datastores: dict[str, DatastoreRecord] = field(default_factory=dict)
    computes: dict[str, ComputeRecord] = field(default_factory=dict)
    data: dict[str, dict[int, DataRecord]] = field(default_factory=dict)  # v2's registry
    datasets: dict[str, dict[int, DataRecord]] = field(default_factory=dict)  # v1's registry
    models: dict[str, dict[int, ModelRecord]] = field(default_factory=dict)
    runs: dict[str, RunRecord] = field(default_factory=dict)
    endpoints: dict[str, EndpointRecord] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    operations: dict[str, Any] = field(default_factory=dict)  # of ARM: id -> result
    containers: set[tuple[str, str]] = field(default_factory=set)  # account and container that exist

    def __post_init__(self) -> None:
        self.datastores = {
            "workspaceblobstore": DatastoreRecord("workspaceblobstore", self.account, self.default_container),
            "workspaceartifactstore": DatastoreRecord("workspaceartifactstore", self.account, self.artifact_container),
        }
        self.computes = {
            "gpu-cluster": ComputeRecord("gpu-cluster", "STANDARD_NC4AS_T4_V3", max_nodes=2),
            "cpu-cluster": ComputeRecord("cpu-cluster", "STANDARD_D4DS_V4", max_nodes=2),
        }
        self.containers |= {(self.account, self.default_container), (self.account, self.artifact_container)}

    @property
    def default_container(self) -> str:
        return f"azureml-blobstore-{self.workspace_id}"

    @property
    def artifact_container(self) -> str:
        """Where run artifacts and snapshots lie; the service calls it azureml, tests need one each."""
        return f"azureml-{self.workspace_id}"

    @property
    def group_path(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"

    @property
    def arm_path(self) -> str:
        return f"{self.group_path}/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace}"

    def keep_keys(self) -> None:
        """As a workspace whose storage lets account keys in: systemDatastoresAuthMode AccessKey."""
        for store in self.datastores.values():
            store.credentials = "AccountKey"

    def add_container(self, account: str, container: str) -> None:
        self.containers.add((account, container))

    @property
    def accounts(self) -> tuple[str, ...]:
        return (self.account, self.edge_account)
