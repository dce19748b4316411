"""Data sets: MLTable data assets, and with `everywhere` the tabular ones that only the older registry has.

Knows where a data set lies, nothing of what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_training.workspaces.azureml.service import Asset
from model_training.workspaces.azureml.v1.definitions import source
from model_training.workspaces.azureml.v2.client import API_VERSION, Calls
from model_training.workspaces.azureml.v2.errors import translated
from model_training.workspaces.azureml.v2.rest import segment
from model_training.workspaces.azureml.v2.times import moment
from model_training.workspaces.azureml.v2.values import plain
from model_training.workspaces.azureml.v2.versions import number, take_next

LISTED = ("mltable", "uri_folder", "uri_file")
_URI = re.compile(r"azureml://(?:.*/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)")


class AssetCalls(Calls):
    @translated
    def assets(self, name: str | None = None, *, everywhere: bool = False) -> Sequence[Asset]:
        own = list(self._own_data(name))
        if not everywhere:
            return own
        known = {asset.name for asset in own}
        return [*own, *(asset for asset in self._older_data(name) if asset.name not in known)]

    @translated
    def register_asset(
        self, name: str, *, datastore: str, path: str, tags: Mapping[str, str], description: str = ""
    ) -> Asset:
        uri = f"azureml://datastores/{datastore}/paths/{path.strip('/')}/"
        existing = [asset.version for asset in self._own_data(name)]
        return take_next(existing, lambda v: self._register_data(name, v, uri, tags, description), f"data set {name}")

    @translated
    def _register_data(self, name: str, version: int, uri: str, tags: Mapping[str, str], description: str) -> Asset:
        """Past the SDK, which asks a public site for the schema of MLTable each time and waits where that is closed."""
        properties = {
            "dataType": "mltable",
            "dataUri": uri,
            "referencedUris": ["./data.jsonl"],
            "tags": dict(tags),
            "description": description or None,
            "isAnonymous": False,
            "isArchived": False,
        }
        url = self._client.resource(f"data/{segment(name)}/versions/{version}")
        made = self._client.rest.put(url, {"properties": properties}, **{"api-version": API_VERSION})
        created = moment((made.get("systemData") or {}).get("createdAt"))
        place = _URI.fullmatch(uri)
        assert place is not None, "an address that was written here is read here"
        path = place["path"].strip("/")
        return Asset(name, version, place["datastore"], path, "mltable", dict(tags), description, created)

    def _own_data(self, name: str | None) -> Iterator[Asset]:
        from azure.core.exceptions import ResourceNotFoundError

        names = [name] if name else [container.name for container in self._ml.data.list()]
        for each in names:
            try:
                versions = list(self._ml.data.list(each))
            except ResourceNotFoundError:
                continue
            yield from (asset for data in versions if (asset := _asset(data)) is not None)

    def _older_data(self, name: str | None) -> Iterator[Asset]:
        """Tabular data sets of the older registry: the latest of each, or every version of the one asked for."""
        url = f"{self._client.plane('dataset/v1.0')}/datasets"
        if name is None:
            found = self._client.rest.pages(url, includeLatestDefinition="true", pageSize=100)
            yield from (asset for dataset in found if (asset := _tabular(dataset)) is not None)
            return
        latest = self._older_version(url, name, None)
        newest = number((latest.get("latest") or {}).get("versionId")) if latest else None
        for version in range(1, newest or 0):
            earlier = _tabular(self._older_version(url, name, version))
            if earlier is not None:
                yield earlier
        if (asset := _tabular(latest)) is not None:
            yield asset

    def _older_version(self, url: str, name: str, version: int | None) -> dict[str, Any]:
        """One version, {} for one that is not there."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return self._client.rest.get(f"{url}/query/name={segment(name)}", versionId=version)
        except ResourceNotFoundError:
            return {}


def _asset(data: Any) -> Asset | None:
    place, version = _URI.fullmatch(str(data.path)), number(data.version)
    if place is None or version is None or plain(data.type) not in LISTED:
        return None
    created = getattr(data.creation_context, "created_at", None)
    return Asset(
        name=data.name,
        version=version,
        datastore=place["datastore"],
        path=place["path"].strip("/"),
        kind=plain(data.type),
        tags=dict(data.tags or {}),
        description=data.description or "",
        created_at=moment(created),
    )


def _tabular(dataset: Mapping[str, Any]) -> Asset | None:
    """None for what is not a table that is read from one file in a datastore."""
    latest = dataset.get("latest") or {}
    (datastore, path), version = source(latest.get("dataflow") or ""), number(latest.get("versionId"))
    if str(dataset.get("datasetType")).lower() != "tabular" or not datastore or version is None:
        return None
    return Asset(
        name=str(dataset["name"]),
        version=version,
        datastore=datastore,
        path=path.strip("/"),
        kind="tabular",
        tags=dict(dataset.get("tags") or {}),
        description=str(dataset.get("description") or ""),
        created_at=moment(latest.get("createdTime")),
    )
