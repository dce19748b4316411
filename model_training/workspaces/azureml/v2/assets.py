"""Data sets: MLTable data assets, and with `everywhere` the tabular ones that only the older registry has.

Knows where a data set lies, nothing of what is in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_training.workspaces.azureml.service import Asset
from model_training.workspaces.azureml.v2.client import Calls
from model_training.workspaces.azureml.v2.errors import translated
from model_training.workspaces.azureml.v2.rest import segment
from model_training.workspaces.azureml.v2.times import moment
from model_training.workspaces.azureml.v2.versions import number, take_next

LISTED = ("mltable", "uri_folder", "uri_file")
_URI = re.compile(r"azureml://(?:.*/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)")


class AssetCalls(Calls):
    @translated
    def assets(self, name: str | None = None, *, everywhere: bool = False) -> Sequence[Asset]:
        own = list(self._own(name))
        if not everywhere:
            return own
        known = {asset.name for asset in own}
        return [*own, *(asset for asset in self._older(name) if asset.name not in known)]

    @translated
    def register_asset(
        self, name: str, *, datastore: str, path: str, tags: Mapping[str, str], description: str = ""
    ) -> Asset:
        uri = f"azureml://datastores/{datastore}/paths/{path.strip('/')}/"
        existing = [asset.version for asset in self._own(name)]
        return take_next(existing, lambda v: self._register(name, v, uri, tags, description), f"data set {name}")

    @translated
    def _register(self, name: str, version: int, uri: str, tags: Mapping[str, str], description: str) -> Asset:
        from azure.ai.ml.entities import Data

        data = Data(
            name=name, version=str(version), path=uri, type="mltable", tags=dict(tags), description=description or None
        )
        found = _asset(self._ml.data.create_or_update(data))
        assert found is not None, "a version that was just written has a number and a place"
        return found

    def _own(self, name: str | None) -> Iterator[Asset]:
        from azure.core.exceptions import ResourceNotFoundError

        names = [name] if name else [container.name for container in self._ml.data.list()]
        for each in names:
            try:
                versions = list(self._ml.data.list(each))
            except ResourceNotFoundError:
                continue
            yield from (asset for data in versions if (asset := _asset(data)) is not None)

    def _older(self, name: str | None) -> Iterator[Asset]:
        """Tabular data sets of the older registry: the latest of each, or every version of the one asked for."""
        for dataset in self._registered(name):
            if dataset.get("datasetType") != "tabular":
                continue
            definitions = [dataset.get("latest") or {}]
            if name:
                url = f"{self._client.plane('dataset/v1.0')}/datasets/{segment(dataset['datasetId'])}/definitions"
                definitions = list(self._client.rest.pages(url)) or definitions
            yield from (asset for each in definitions if (asset := _tabular(dataset, each)) is not None)

    def _registered(self, name: str | None) -> Iterator[dict[str, Any]]:
        from azure.core.exceptions import ResourceNotFoundError

        url = f"{self._client.plane('dataset/v1.0')}/datasets"
        if name is None:
            yield from self._client.rest.pages(url, includeLatestDefinition="true", pageSize=100)
            return
        try:
            yield self._client.rest.get(f"{url}/query/name={segment(name)}")
        except ResourceNotFoundError:
            return


def _asset(data: Any) -> Asset | None:
    place, version = _URI.fullmatch(str(data.path)), number(data.version)
    if place is None or version is None or data.type not in LISTED:
        return None
    created = getattr(data.creation_context, "created_at", None)
    return Asset(
        name=data.name,
        version=version,
        datastore=place["datastore"],
        path=place["path"].strip("/"),
        kind=data.type,
        tags=dict(data.tags or {}),
        description=data.description or "",
        created_at=moment(created),
    )


def _tabular(dataset: Mapping[str, Any], definition: Mapping[str, Any]) -> Asset | None:
    """None for what is not read from one file in a datastore."""
    place, version = _file_of(definition), number(definition.get("versionId"))
    if place is None or version is None:
        return None
    return Asset(
        name=str(dataset["name"]),
        version=version,
        datastore=place[0],
        path=place[1],
        kind="tabular",
        tags=dict(dataset.get("tags") or {}),
        description=str(dataset.get("description") or ""),
        created_at=moment(definition.get("createdTime") or dataset.get("createdTime")),
    )


def _file_of(definition: Mapping[str, Any]) -> tuple[str, str] | None:
    """Datastore and path that a definition reads: as it says itself, or as its first block does."""
    stated = definition.get("dataPath") or {}
    if stated.get("datastoreName") and stated.get("relativePath"):
        return str(stated["datastoreName"]), str(stated["relativePath"]).strip("/")
    try:
        blocks = json.loads(definition.get("dataflow") or "{}").get("blocks") or []
    except ValueError:
        return None
    places = [place for block in blocks for place in (block.get("arguments") or {}).get("datastores") or []]
    if len(places) != 1 or "*" in str(places[0].get("path", "*")):
        return None
    return str(places[0]["datastoreName"]), str(places[0]["path"]).strip("/")
