"""`Service` by SDK v1. Each method crosses the border once: foreign exceptions and the SDK's chatter end here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.service import (
    Asset,
    AutoMLRequest,
    Blobs,
    Compute,
    Container,
    EndpointFacts,
    ModelAsset,
    Place,
    PublishedFacts,
    PublishRequest,
    RunFacts,
)
from model_training.workspaces.azureml.v1 import assets, automl, models, stores
from model_training.workspaces.azureml.v1.connect import open_workspace
from model_training.workspaces.azureml.v1.endpoints import Pipelines
from model_training.workspaces.azureml.v1.errors import border
from model_training.workspaces.azureml.v1.runs import History
from scoring.errors import ConflictError, NotFoundError

# "The data is sensitive": read when azureml is imported, whose data set and AutoML parts report every call otherwise.
NO_TELEMETRY = "HBI_WORKSPACE_JOB"


class V1Service:
    """`authentication` makes the SDK's own credential, `token` one for blobs; both when they are needed."""

    def __init__(self, place: Place, authentication: Callable[[], Any], token: Callable[[], Any]) -> None:
        self._place = place
        self._authentication = authentication
        self._token = token

    @classmethod
    def connect(cls, place: Place) -> V1Service:
        """As whoever is logged in, or as the cluster. Raises: UsageError (no login, no access to that subscription)."""
        os.environ.setdefault(NO_TELEMETRY, "true")
        import azureml.core  # noqa: F401  (that it is missing is said here, not by the first call)

        from model_training.workspaces.azureml import credentials

        if not place.subscription_id:
            place = replace(place, subscription_id=str(credentials.profile_account()["id"]))
        return cls(
            place,
            lambda: credentials.v1_authentication(place.subscription_id),
            lambda: credentials.token_credential(place.subscription_id),
        )

    @property
    def generation(self) -> str:
        return "v1"

    @property
    def place(self) -> Place:
        return self._place

    # storage and compute ---------------------------------------------------------------------------------------------

    def default_datastore(self) -> str:
        with border("asking for the default datastore"):
            return stores.default_datastore(self._workspace)

    def datastores(self) -> Sequence[Container]:
        with border("listing datastores"):
            return stores.datastores(self._workspace)

    def add_datastore(self, container: Container) -> None:
        with border(f"adding the datastore {container.name}"):
            found = {store.name: store for store in stores.datastores(self._workspace)}.get(container.name)
            if found is not None and found != container:
                raise ConflictError(
                    f"the datastore {container.name} is {found.url}, not {container.url}", hint="choose another name"
                )
            if found is None:
                stores.add_datastore(self._workspace, container)

    def blobs(self, datastore: str) -> Blobs:
        from model_training.workspaces.azureml.blobs import ContainerBlobs

        found = {store.name: store for store in self.datastores()}.get(datastore)
        if found is None:
            raise NotFoundError(f"no datastore '{datastore}' of blobs", hint="cva datastore list")
        return ContainerBlobs(found, self._token())

    def clusters(self) -> Sequence[Compute]:
        with border("listing clusters"):
            return stores.clusters(self._workspace)

    # data sets -------------------------------------------------------------------------------------------------------

    def assets(self, name: str | None = None, *, everywhere: bool = False) -> Sequence[Asset]:
        with border(f"looking for the data set {name}" if name else "listing data sets"):
            return assets.assets(self._workspace, self._place, name, everywhere=everywhere)

    def register_asset(
        self, name: str, *, datastore: str, path: str, tags: Mapping[str, str], description: str = ""
    ) -> Asset:
        with border(f"registering the data set {name}"):
            return assets.register(
                self._workspace, name, datastore=datastore, path=path, tags=tags, description=description
            )

    # models ----------------------------------------------------------------------------------------------------------

    def models(self, name: str | None = None) -> Sequence[ModelAsset]:
        with border(f"looking for the model {name}" if name else "listing models"):
            return models.models(self._workspace, name)

    def register_model(
        self, name: str, folder: Path, *, tags: Mapping[str, str], properties: Mapping[str, str], description: str = ""
    ) -> ModelAsset:
        with border(f"registering the model {name}"):
            return models.register(
                self._workspace, name, folder, tags=tags, properties=properties, description=description
            )

    def tag_model(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        with border(f"tagging the model {name}:{version}"):
            models.tag(self._workspace, name, version, tags)

    def download_model(self, name: str, version: int, folder: Path) -> None:
        with border(f"downloading the model {name}:{version}"):
            models.download_model(self._workspace, name, version, folder)

    # runs ------------------------------------------------------------------------------------------------------------

    def start_run(self, experiment: str, *, tags: Mapping[str, str]) -> RunFacts:
        with border(f"starting a run of {experiment}"):
            return self._history.start(experiment, tags)

    def run(self, run_id: str) -> RunFacts:
        with border(f"looking for the run {run_id}"):
            return self._history.get(run_id)

    def runs(self, *, tags: Mapping[str, str] | None = None, limit: int = 100) -> Sequence[RunFacts]:
        with border("listing runs"):
            return self._history.find(tags, limit)

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        with border(f"tagging the run {run_id}"):
            self._history.tag(run_id, tags)

    def end_run(self, run_id: str, *, status: str, error: str = "") -> None:
        with border(f"ending the run {run_id}"):
            self._history.end(run_id, status, error)

    def cancel_run(self, run_id: str) -> None:
        with border(f"cancelling the run {run_id}"):
            self._history.cancel(run_id)

    def run_log(self, run_id: str) -> str:
        with border(f"reading the log of the run {run_id}"):
            return self._history.log(run_id)

    def children(self, run_id: str) -> Sequence[RunFacts]:
        with border(f"looking for children of the run {run_id}"):
            return self._history.children(run_id)

    def metrics(self, run_id: str) -> Mapping[str, Sequence[float]]:
        with border(f"reading the metrics of the run {run_id}"):
            return self._history.metrics(run_id)

    def files(self, run_id: str) -> Sequence[str]:
        with border(f"listing files of the run {run_id}"):
            return self._history.files(run_id)

    def download_file(self, run_id: str, path: str, file: Path) -> None:
        with border(f"downloading {path} of the run {run_id}"):
            self._history.download(run_id, path, file)

    # AutoML for images -----------------------------------------------------------------------------------------------

    def submit_automl(self, request: AutoMLRequest) -> RunFacts:
        with border(f"submitting an AutoML job to {request.cluster}"):
            return self._history.get(automl.submit(self._workspace, request))

    # pipeline endpoints ----------------------------------------------------------------------------------------------

    def endpoints(self) -> Sequence[EndpointFacts]:
        with border("listing pipeline endpoints"):
            return self._pipelines.endpoints()

    def endpoint(self, name: str) -> EndpointFacts:
        with border(f"looking for the pipeline endpoint {name}"):
            return self._pipelines.endpoint(name)

    def publish(self, request: PublishRequest) -> PublishedFacts:
        with border(f"publishing {request.endpoint}"):
            return self._pipelines.publish(request)

    def set_default(self, name: str, version: int) -> None:
        with border(f"making version {version} the default of {name}"):
            self._pipelines.set_default(name, version)

    def submit(self, name: str, *, version: int | None, experiment: str, parameters: Mapping[str, str]) -> RunFacts:
        with border(f"submitting {name}"):
            run_id = self._pipelines.submit(name, version, experiment, parameters)
            return self._history.get(run_id)

    # the SDK's own objects, made when the first call needs them ------------------------------------------------------

    @cached_property
    def _workspace(self) -> Any:
        return open_workspace(self._place, self._authentication())

    @cached_property
    def _history(self) -> History:
        return History(self._workspace, self._place)

    @cached_property
    def _pipelines(self) -> Pipelines:
        return Pipelines(self._workspace)
