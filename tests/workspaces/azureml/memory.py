"""Azure ML from memory: the far side of the network, whole enough for the six parts to be driven over `Service`.

It is no mock of our code: it keeps what it is given, answers as `service.py` says, refuses what the service refuses.
Several `MemoryService` may share one `Cloud`, as two processes or both generations of the SDK share a workspace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from model_training.workspaces.azureml.service import (
    STARTED_TAG,
    V1_ROWS,
    Asset,
    AutoMLRequest,
    Compute,
    Container,
    EndpointFacts,
    ModelAsset,
    Place,
    PublishedFacts,
    PublishRequest,
    RunFacts,
)
from scoring.errors import ConflictError, NotFoundError, OfflineError, UsageError
from tests.workspaces.azureml.memory_blobs import MemoryBlobs
from tests.workspaces.azureml.memory_runs import ENDED, Runs, Script

DEFAULT = "workspaceblobstore"
PLACE = Place("00000000-0000-0000-0000-000000000001", "caps-rg", "caps-aml")


@dataclass
class Cloud:
    """One workspace with its storage."""

    containers: dict[str, dict[str, bytes]] = field(default_factory=dict)  # blobs by a container's address
    stores: dict[str, Container] = field(
        default_factory=lambda: {DEFAULT: Container(DEFAULT, "capsstorage", "azureml-blobstore", holds_keys=True)}
    )
    computes: dict[str, Compute] = field(
        default_factory=lambda: {
            "gpu-cluster": Compute("gpu-cluster", "Standard_NC4as_T4_v3", 0, 1),
            "cpu-cluster": Compute("cpu-cluster", "Standard_D4ds_v4", 0, 1),
        }
    )
    data: dict[str, list[Asset]] = field(default_factory=lambda: {"v1": [], "v2": []})  # by generation
    registry: dict[tuple[str, int], tuple[ModelAsset, dict[str, bytes]]] = field(default_factory=dict)
    published: dict[str, EndpointFacts] = field(default_factory=dict)
    code: dict[tuple[str, int], dict[str, bytes]] = field(default_factory=dict)  # the snapshot of each version
    runs: Runs = field(default_factory=Runs)
    script: Script = field(default_factory=Script)  # of the next AutoML run
    requests: list[AutoMLRequest] = field(default_factory=list)

    def forget_keys(self) -> None:
        """As infrastructure/ makes a workspace: everyone opens the storage as themselves."""
        self.stores = {name: replace(store, holds_keys=False) for name, store in self.stores.items()}

    def files(self, datastore: str = DEFAULT) -> dict[str, bytes]:
        return self.containers.setdefault(self.stores[datastore].url, {})


class MemoryService:
    """`network` is told the name of each call before it is answered, and may raise what a network raises.

    A call in `lost` is done, and its answer does not arrive, once.
    """

    def __init__(self, cloud: Cloud, generation: str = "v2") -> None:
        self.cloud = cloud
        self.generation = generation
        self.place = PLACE
        self.calls: list[str] = []
        self.network: Callable[[str], None] = lambda call: None
        self.lost: set[str] = set()
        self.behind = 0  # searches that still miss what is there

    def _called(self, call: str) -> None:
        self.calls.append(call)
        self.network(call)

    def _answered(self, call: str) -> None:
        if call in self.lost:
            self.lost.remove(call)
            raise OfflineError(f"{call}: the connection was dropped")

    # storage and compute --------------------------------------------------------------------------------------------

    def default_datastore(self) -> str:
        self._called("default_datastore")
        return DEFAULT

    def datastores(self) -> Sequence[Container]:
        self._called("datastores")
        return list(self.cloud.stores.values())

    def add_datastore(self, container: Container) -> None:
        self._called("add_datastore")
        if self.cloud.stores.setdefault(container.name, container) != container:
            raise ConflictError(f"datastore {container.name} is another container")

    def blobs(self, datastore: str) -> MemoryBlobs:
        if datastore not in self.cloud.stores:
            raise NotFoundError(f"there is no datastore {datastore!r}")
        return MemoryBlobs(datastore, self.cloud.files(datastore), self._called)

    def clusters(self) -> Sequence[Compute]:
        self._called("clusters")
        return list(self.cloud.computes.values())

    # data sets ------------------------------------------------------------------------------------------------------

    def assets(self, name: str | None = None, *, everywhere: bool = False) -> Sequence[Asset]:
        self._called("assets")
        own = [asset for asset in self.cloud.data[self.generation] if name in (None, asset.name)]
        names = {asset.name for asset in own}
        other = self.cloud.data["v1" if self.generation == "v2" else "v2"] if everywhere else []
        return own + [asset for asset in other if name in (None, asset.name) and asset.name not in names]

    def register_asset(
        self, name: str, *, datastore: str, path: str, tags: Mapping[str, str], description: str = ""
    ) -> Asset:
        self._called("register_asset")
        for file in ("MLTable", "data.jsonl", V1_ROWS):
            if f"{path}/{file}" not in self.cloud.files(datastore):
                raise UsageError(f"{path} holds no {file}")
        there = self.cloud.data[self.generation]
        version = max((asset.version for asset in there if asset.name == name), default=0) + 1
        kind, kept = ("mltable", path) if self.generation == "v2" else ("tabular", f"{path}/{V1_ROWS}")
        asset = Asset(name, version, datastore, kept, kind, dict(tags), description, self.cloud.runs.now())
        there.append(asset)
        return asset

    # models ---------------------------------------------------------------------------------------------------------

    def models(self, name: str | None = None) -> Sequence[ModelAsset]:
        self._called("models")
        return [asset for asset, _ in self.cloud.registry.values() if name in (None, asset.name)]

    def register_model(
        self, name: str, folder: Path, *, tags: Mapping[str, str], properties: Mapping[str, str], description: str = ""
    ) -> ModelAsset:
        self._called("register_model")
        if len(tags) > 50 or any(len(value) > 1000 for value in tags.values()):
            raise UsageError("at most 50 tags of 1,000 characters")
        version = max((number for other, number in self.cloud.registry if other == name), default=0) + 1
        asset = ModelAsset(name, version, dict(tags), dict(properties), description, self.cloud.runs.now())
        self.cloud.registry[name, version] = asset, _snapshot(folder)
        self._answered("register_model")
        return asset

    def tag_model(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        self._called("tag_model")
        asset, content = self._model(name, version)
        self.cloud.registry[name, version] = replace(asset, tags={**asset.tags, **tags}), content

    def download_model(self, name: str, version: int, folder: Path) -> None:
        self._called("download_model")
        for path, data in self._model(name, version)[1].items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)

    def _model(self, name: str, version: int) -> tuple[ModelAsset, dict[str, bytes]]:
        if (name, version) not in self.cloud.registry:
            raise NotFoundError(f"there is no model {name}:{version}")
        return self.cloud.registry[name, version]

    # runs -----------------------------------------------------------------------------------------------------------

    def start_run(self, experiment: str, *, tags: Mapping[str, str]) -> RunFacts:
        self._called("start_run")
        return self.cloud.runs.start(f"run-{len(self.cloud.runs.records)}", experiment, "Running", tags)

    def run(self, run_id: str) -> RunFacts:
        self._called("run")
        self.cloud.runs.advance(run_id)
        return self.cloud.runs.get(run_id).facts

    def runs(self, *, tags: Mapping[str, str] | None = None, limit: int = 100) -> Sequence[RunFacts]:
        self._called("runs")
        self.behind -= 1
        every = [record.facts for record in self.cloud.runs.records.values() if self.behind < 0]
        return [facts for facts in every if (tags or {}).items() <= facts.tags.items()][-limit:]

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._called("tag_run")
        self.cloud.runs.tag(run_id, tags)

    def end_run(self, run_id: str, *, status: str, error: str = "") -> None:
        self._called("end_run")
        assert status in ENDED, status
        self.cloud.runs.change(run_id, status=status, error=error)

    def cancel_run(self, run_id: str) -> None:
        self._called("cancel_run")
        self.cloud.runs.cancel(run_id)

    def run_log(self, run_id: str) -> str:
        self._called("run_log")
        return self.cloud.runs.get(run_id).log

    def children(self, run_id: str) -> Sequence[RunFacts]:
        self._called("children")
        self.cloud.runs.get(run_id)
        return self.cloud.runs.children(run_id)

    def metrics(self, run_id: str) -> Mapping[str, Sequence[float]]:
        self._called("metrics")
        return dict(self.cloud.runs.get(run_id).metrics)

    def files(self, run_id: str) -> Sequence[str]:
        self._called("files")
        return sorted(self.cloud.runs.get(run_id).files)

    def download_file(self, run_id: str, path: str, file: Path) -> None:
        self._called("download_file")
        file.write_bytes(self.cloud.runs.get(run_id).files[path])

    # AutoML ---------------------------------------------------------------------------------------------------------

    def submit_automl(self, request: AutoMLRequest) -> RunFacts:
        self._called("submit_automl")
        if request.cluster not in self.cloud.computes:
            raise NotFoundError(f"there is no cluster {request.cluster!r}")
        for asset in (request.train, request.validation):
            assert asset in self.cloud.data[self.generation], asset  # the other generation's cannot be read
        self.cloud.requests.append(request)
        newer = self.generation == "v2"
        tags = request.tags if newer else {**request.tags, STARTED_TAG: "true"}
        begun = self.cloud.runs.begin(self.cloud.script, request.experiment, tags, request.name if newer else "")
        self._answered("submit_automl")
        return begun

    # endpoints ------------------------------------------------------------------------------------------------------

    def endpoints(self) -> Sequence[EndpointFacts]:
        self._called("endpoints")
        return list(self.cloud.published.values())

    def endpoint(self, name: str) -> EndpointFacts:
        self._called("endpoint")
        if name not in self.cloud.published:
            raise NotFoundError(f"there is no endpoint {name!r}")
        return self.cloud.published[name]

    def publish(self, request: PublishRequest) -> PublishedFacts:
        self._called("publish")
        if request.step.compute not in self.cloud.computes or not (request.step.folder / request.step.script).is_file():
            raise UsageError(f"cannot publish {request.step}")
        first = 1 if self.generation == "v2" else 0
        known = self.cloud.published.get(request.endpoint, EndpointFacts(request.endpoint, None, {}))
        version = max(known.versions, default=first - 1) + 1
        moment, about = self.cloud.runs.now(), dict(request.properties)
        facts = PublishedFacts(request.endpoint, version, f"p{version}", request.description, moment, about)
        default = version if known.default_version is None else known.default_version
        versions = {**known.versions, version: facts}
        self.cloud.published[request.endpoint] = replace(known, default_version=default, versions=versions)
        self.cloud.code[request.endpoint, version] = _snapshot(request.step.folder)
        return facts

    def set_default(self, name: str, version: int) -> None:
        self._called("set_default")
        if version not in self.endpoint(name).versions:
            raise NotFoundError(f"endpoint {name!r} has no version {version}")
        self.cloud.published[name] = replace(self.cloud.published[name], default_version=version)

    def submit(self, name: str, *, version: int | None, experiment: str, parameters: Mapping[str, str]) -> RunFacts:
        self._called("submit")
        number = self.endpoint(name).default_version if version is None else version
        if number not in self.endpoint(name).versions or not experiment:
            raise UsageError(f"cannot submit {name}:{number} to {experiment!r}")
        return self.cloud.runs.start(f"pipeline-{len(self.cloud.runs.records)}", experiment, "NotStarted", {})


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
