"""Which generation of the SDK an AutoML run, and the data sets that it reads, go through: the workspace's own or v2.

Azure documents that AutoML of SDK v1 reads no datastore without stored keys, and v1 knows no MLTable of v2's registry;
v2 reads both, as the cluster's identity. Only the data set and its datastores are looked at, so a step that was started
again is told the same. The endpoint, its run and the model stay with the workspace's own generation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

from model_training.data.image_urls import datastore_path
from model_training.data.jsonl import read_rows
from model_training.jobs.spec import JobSpec
from model_training.workspaces.azureml.dataset_store import Stored
from model_training.workspaces.azureml.parts import registered_parts
from model_training.workspaces.azureml.service import Asset, Service
from model_training.workspaces.base import Event, Reporter, Split, silent

NEWEST = "v2"


class Training:
    """`newer` connects SDK v2. Without it nothing is trained here, and parts for v2 are the step's task."""

    def __init__(self, service: Service, newer: Callable[[], Service] | None) -> None:
        self._own = service
        self._connect = newer
        self._services: dict[str, Service] = {}  # by part, caps-train:3

    def parts(
        self, asset: Asset, split: Split, stored: Stored, folder: Path, reporter: Reporter = silent
    ) -> Mapping[str, str]:
        """The split's parts, registered where AutoML will read them. `folder` is where the version's files are here."""
        why = self._why_newer(asset, stored, folder)
        if why and self._connect is None:
            return {}
        if why:
            reporter(Event("message", f"AutoML through SDK {NEWEST}: {why}"))
        service = self._newer if why else self._own
        parts = registered_parts(service, asset.name, split, stored)
        self._services |= dict.fromkeys(parts.values(), service)
        return parts

    def service(self, job: JobSpec) -> Service:
        """The one that the job's parts are registered with."""
        named = job.data.assets.get("train", "") if job.data else ""
        return self._services.get(named, self._own)

    @cached_property
    def _newer(self) -> Service:
        assert self._connect is not None, "asked for only where it is given"
        return self._connect()

    def _why_newer(self, asset: Asset, stored: Stored, folder: Path) -> str:
        if self._own.generation == NEWEST:
            return ""
        if asset.kind != "tabular":
            return f"{asset.name}:{asset.version} is a data asset ({asset.kind}) of SDK {NEWEST}"
        return no_keys(self._own, {stored.datastore, *_datastores(folder)})


def no_keys(service: Service, datastores: Iterable[str]) -> str:
    """`datastore D holds no keys`, or "" where all of them do."""
    holding = {store.name for store in service.datastores() if store.holds_keys}
    without = sorted(set(datastores) - holding)
    some = "datastores" if len(without) > 1 else "datastore"
    return f"{some} {', '.join(without)} {'hold' if len(without) > 1 else 'holds'} no keys" if without else ""


def _datastores(folder: Path) -> Iterable[str]:
    """Where the version's images are."""
    places = (datastore_path(row.image_url) for row in read_rows(folder / "data.jsonl"))
    return {place[0] for place in places if place}
