"""What a workspace asks of Azure ML, in the few words that both generations of the SDK have.

`v1.py` (azureml-sdk) and `v2.py` (azure-ai-ml) answer it; tests answer it from memory, too. The six parts beside this
file are written once, over these words, and know neither SDK. Only an implementation of `Service` raises and translates
foreign exceptions: what leaves it is of `scoring.errors` (NotFoundError, UsageError, ConflictError, OfflineError for
what cannot be reached, and UnavailableError for what is busy).

Versions are whole numbers as the service itself counts them, so that people see the same number in the studio: an
endpoint's first version is 0 on SDK v1 and 1 on SDK v2. Times are UTC, ISO 8601.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from model_training.jobs.spec import JobSpec


@dataclass(frozen=True)
class Place:
    """Which workspace."""

    subscription_id: str
    resource_group: str
    workspace_name: str

    @property
    def arm_path(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace_name}"
        )


@dataclass(frozen=True)
class Container:
    """A datastore: a named blob container. `url` is `https://ACCOUNT.blob.core.windows.net/CONTAINER`.

    `holds_keys`: whether Azure keeps a key or a SAS with it; without, everyone opens it as themselves.
    """

    name: str
    account: str
    container: str
    holds_keys: bool = field(default=False, compare=False)

    @property
    def url(self) -> str:
        return f"https://{self.account}.blob.core.windows.net/{self.container}"


@dataclass(frozen=True)
class Compute:
    """A compute cluster. `idle_seconds` before it scales down; `state` as the service says it."""

    name: str
    size: str
    min_nodes: int
    max_nodes: int
    state: str = ""
    location: str = ""
    idle_seconds: int = 0


@dataclass(frozen=True)
class Asset:
    """One version of a data set in either registry. `path` is a folder with MLTable, or a JSON Lines file.

    `kind` is mltable (v2) or tabular (v1): a v1 tabular data set has no folder of its own, only the file it reads.
    """

    name: str
    version: int
    datastore: str
    path: str
    kind: str = "mltable"
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    created_at: str = ""


@dataclass(frozen=True)
class ModelAsset:
    name: str
    version: int
    tags: Mapping[str, str]
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    created_at: str = ""


@dataclass(frozen=True)
class RunFacts:
    """`status` is one of `Run.status` in `base.py`; `parent` is "" for a run of its own.

    `tags` can change, `properties` cannot be overwritten once set.
    """

    id: str
    experiment: str
    status: str
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    created_at: str = ""
    ended_at: str = ""
    error: str = ""
    parent: str = ""
    portal_url: str = ""


@dataclass(frozen=True)
class StepCode:
    """What a published step is made of: a staged folder, the script in it, and the environment it runs in."""

    folder: Path
    script: str  # relative to the folder
    arguments: Sequence[str]  # fixed ones; the parameters follow as --dataset-name VALUE …
    environment: str  # AML_ENV_NAME
    requirements: Path  # pinned, versions only
    python: str  # "3.11"
    compute: str  # the CPU cluster that the step waits on
    sha256: str = ""  # of all that is staged


@dataclass(frozen=True)
class PublishRequest:
    """`parameters` are names and defaults: dataset_name, model_name, cluster (or, for batch scoring, two of them)."""

    endpoint: str
    description: str
    step: StepCode
    parameters: Mapping[str, str]
    properties: Mapping[str, str]


@dataclass(frozen=True)
class PublishedFacts:
    """`id` is the service's own: a published pipeline's (v1), a deployment's name (v2)."""

    endpoint: str
    version: int
    id: str
    description: str = ""
    created_at: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EndpointFacts:
    """`default_version` is None while nothing has been made the default. `rest_url` is where a POST submits it."""

    name: str
    default_version: int | None
    versions: Mapping[int, PublishedFacts]
    description: str = ""
    rest_url: str = ""


V1_ROWS = "tabular.jsonl"  # beside MLTable and its data.jsonl: the same rows as SDK v1 reads them
STARTED_TAG = "cva_started"  # v1 makes a run, tags it and starts it, each in a call of its own


@dataclass(frozen=True)
class AutoMLRequest:
    """An AutoML image job on two data sets of the service's own generation. `tags` find it again after a restart."""

    job: JobSpec
    train: Asset
    validation: Asset
    cluster: str
    experiment: str
    tags: Mapping[str, str]
    name: str = ""  # of the run, used once; v1 gives its own


class Blobs(Protocol):
    """One container, by the caller's own identity; paths have forward slashes and no leading one."""

    def list(self, prefix: str = "") -> Iterator[str]: ...
    def exists(self, path: str) -> bool: ...
    def upload(self, file: Path, path: str, *, overwrite: bool = False) -> None: ...
    def write(self, data: bytes, path: str, *, overwrite: bool = False) -> None: ...
    def read(self, path: str, *, limit: int) -> bytes: ...
    def download(self, path: str, file: Path) -> None:
        """Written beside its place and renamed: whole or absent."""
        ...


class Service(Protocol):
    """Raises on every call: OfflineError, UnavailableError; and NotFoundError where a name is asked for."""

    @property
    def generation(self) -> str: ...  # v1 | v2
    @property
    def place(self) -> Place: ...

    # storage and compute
    def default_datastore(self) -> str: ...
    def datastores(self) -> Sequence[Container]: ...
    def add_datastore(self, container: Container) -> None: ...
    def blobs(self, datastore: str) -> Blobs: ...
    def clusters(self) -> Sequence[Compute]: ...

    # data sets: those of the own generation, and with `everywhere` those that only the other registry has
    def assets(self, name: str | None = None, *, everywhere: bool = False) -> Sequence[Asset]: ...
    def register_asset(
        self, name: str, *, datastore: str, path: str, tags: Mapping[str, str], description: str = ""
    ) -> Asset: ...  # `path`: a folder with MLTable and data.jsonl, and V1_ROWS for v1

    # models
    def models(self, name: str | None = None) -> Sequence[ModelAsset]: ...
    def register_model(
        self, name: str, folder: Path, *, tags: Mapping[str, str], properties: Mapping[str, str], description: str = ""
    ) -> ModelAsset: ...
    def tag_model(self, name: str, version: int, tags: Mapping[str, str]) -> None: ...
    def download_model(self, name: str, version: int, folder: Path) -> None: ...

    # runs
    def start_run(self, experiment: str, *, tags: Mapping[str, str]) -> RunFacts: ...
    def run(self, run_id: str) -> RunFacts: ...
    def runs(self, *, tags: Mapping[str, str] | None = None, limit: int = 100) -> Sequence[RunFacts]: ...
    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None: ...
    def end_run(self, run_id: str, *, status: str, error: str = "") -> None: ...
    def cancel_run(self, run_id: str) -> None: ...
    def run_log(self, run_id: str) -> str: ...
    def children(self, run_id: str) -> Sequence[RunFacts]: ...
    def metrics(self, run_id: str) -> Mapping[str, Sequence[float]]: ...  # by epoch, as the service logged them
    def files(self, run_id: str) -> Sequence[str]: ...
    def download_file(self, run_id: str, path: str, file: Path) -> None: ...

    # AutoML for images
    def submit_automl(self, request: AutoMLRequest) -> RunFacts: ...  # v1's gets STARTED_TAG, too, once it is started

    # pipeline endpoints
    def endpoints(self) -> Sequence[EndpointFacts]: ...
    def endpoint(self, name: str) -> EndpointFacts: ...
    def publish(self, request: PublishRequest) -> PublishedFacts: ...  # the first version becomes the default
    def set_default(self, name: str, version: int) -> None: ...
    def submit(self, name: str, *, version: int | None, experiment: str, parameters: Mapping[str, str]) -> RunFacts: ...
