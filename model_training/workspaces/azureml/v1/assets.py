"""Data sets by SDK v1: tabular data sets of JSON Lines, and a look into the registry of SDK v2.

Never opens a data set: the SDK's data engine would read blobs over connections of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from model_training.workspaces.azureml.service import V1_ROWS, Asset, Place
from model_training.workspaces.azureml.v1 import rest
from model_training.workspaces.azureml.v1.definitions import address, source
from model_training.workspaces.azureml.v1.times import moment

IMAGE_COLUMN = "image_url"
TABULAR = "tabular"
KEPT_TAGS = "cva_tags"  # tags belong to a name and are overwritten by the next version: a version keeps its own here
API_VERSION = "2025-06-01"
PAGE = 100
AT_ONCE = 8


def assets(workspace: Any, place: Place, name: str | None, *, everywhere: bool) -> Sequence[Asset]:
    """Every version, oldest first. With `everywhere` also names that only the registry of SDK v2 has."""
    own = _tabular(workspace, name)
    if not everywhere:
        return own
    known = {asset.name for asset in own}
    return [*own, *(asset for asset in _newer(workspace, place, name) if asset.name not in known)]


def register(
    workspace: Any, name: str, *, datastore: str, path: str, tags: Mapping[str, str], description: str
) -> Asset:
    """A new version that reads the folder's V1_ROWS; its images are streams, as AutoML for images wants them."""
    from azureml.core import Dataset, Datastore
    from azureml.data.dataset_factory import DataType

    store = Datastore.get(workspace, datastore)
    dataset = Dataset.Tabular.from_json_lines_files(
        path=(store, f"{path.rstrip('/')}/{V1_ROWS}"),
        validate=False,  # else it reads the data here and now
        set_column_types={IMAGE_COLUMN: DataType.to_stream(workspace)},
    )
    dataset._properties = {KEPT_TAGS: dict(tags)}
    registered = dataset.register(workspace, name, description=description, tags=dict(tags), create_new_version=True)
    return _asset(_get(workspace, name, int(registered.version)))


def tabular_dataset(workspace: Any, asset: Asset) -> Any:
    """The SDK's own object for a version, as AutoML takes it."""
    from azureml.core import Dataset

    return Dataset.get_by_name(workspace, asset.name, version=asset.version)


def _tabular(workspace: Any, name: str | None) -> list[Asset]:
    latest = [found for found in [_get(workspace, name, None)] if found] if name else list(_latest(workspace))
    earlier = [(dto.name, number) for dto in latest for number in range(1, int(dto.latest.version_id))]
    with ThreadPoolExecutor(AT_ONCE) as pool:  # one request a version: the service has no list of them
        older = pool.map(lambda pair: _get(workspace, *pair), earlier)
        found = [dto for dto in (*older, *latest) if dto is not None and str(dto.dataset_type).lower() == TABULAR]
    return sorted((_asset(dto) for dto in found), key=lambda asset: (asset.name, asset.version))


def _asset(dto: Any) -> Asset:
    datastore, path = source(dto.latest.dataflow or "", dto.latest.data_path)
    kept = (dto.latest.properties or {}).get(KEPT_TAGS)
    return Asset(
        name=dto.name,
        version=int(dto.latest.version_id),
        datastore=datastore,
        path=path,
        kind=TABULAR,
        tags=dict(kept if isinstance(kept, Mapping) else dto.tags or {}),
        description=dto.description or "",
        created_at=moment(dto.latest.created_time or dto.created_time),
    )


def _get(workspace: Any, name: str, version: int | None) -> Any:
    """One version (the latest for None), or None where there is none."""
    from msrest.exceptions import HttpOperationError

    try:
        return _client(workspace).get_dataset_by_name(*_scope(workspace), dataset_name=name, version_id=version)
    except HttpOperationError as error:
        if error.response.status_code == 404:
            return None
        raise


def _latest(workspace: Any) -> Iterator[Any]:
    token = None
    while True:
        page = _client(workspace).list(
            *_scope(workspace), page_size=PAGE, include_latest_definition=True, continuation_token=token
        )
        yield from page.value or []
        token = page.continuation_token
        if not token:
            return


def _client(workspace: Any) -> Any:
    from azureml.data._dataset_rest_helper import _restclient

    return _restclient(workspace).dataset


def _scope(workspace: Any) -> tuple[str, str, str]:
    return workspace.subscription_id, workspace.resource_group, workspace.name


def _newer(workspace: Any, place: Place, name: str | None) -> Iterator[Asset]:
    """MLTable assets of the registry that SDK v2 writes to, by resource manager's own list."""
    root = f"{place.arm_path}/data"
    names = [name] if name else [str(item["name"]) for item in _listed(workspace, root)]
    for each in names:
        versions = [_mltable(each, item) for item in _listed(workspace, f"{root}/{quote(each, safe='')}/versions")]
        yield from sorted((found for found in versions if found), key=lambda asset: asset.version)


def _mltable(name: str, item: Mapping[str, Any]) -> Asset | None:
    """None for what is no MLTable of a datastore, and for versions that are not numbers."""
    properties = item.get("properties") or {}
    where = address(str(properties.get("dataUri", "")))
    version = str(item.get("name", ""))
    if properties.get("dataType") != "mltable" or where is None or not version.isdigit():
        return None
    return Asset(
        name=name,
        version=int(version),
        datastore=where[0],
        path=where[1].rstrip("/"),
        tags=dict(properties.get("tags") or {}),
        description=properties.get("description") or "",
        created_at=moment((item.get("systemData") or {}).get("createdAt")),
    )


def _listed(workspace: Any, path: str) -> Iterable[Mapping[str, Any]]:
    """Every item of a list of resource manager; nothing for a name that is not there."""
    import requests

    host = workspace._auth_object._get_arm_end_point().rstrip("/")
    url: str | None = f"{host}{path}?api-version={API_VERSION}"
    while url:
        try:
            page = rest.send(workspace, "GET", url).json()
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return
            raise
        yield from page.get("value") or []
        url = page.get("nextLink")
