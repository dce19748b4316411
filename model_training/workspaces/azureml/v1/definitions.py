"""Which file a v1 data set reads, from its definition. Knows the shapes that the service stores, and no client.

A definition is JSON with two tongues for one thing: `meta.RsDataflow`, YAML with `paths`, that the newer SDK writes,
and `blocks`, that the older one and data labelling's export write. Some hold a plain `dataPath` beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import yaml

_ADDRESS = re.compile(r"azureml://.*?/?datastores/([^/]+)/paths/(.+)", re.IGNORECASE)
_OLD_ADDRESS = re.compile(r"AmlDatastore://([^/]+)/(.+)", re.IGNORECASE)


def source(dataflow: str, data_path: Any = None) -> tuple[str, str]:
    """The datastore and the path in it; two empty texts where the definition names no file of a datastore."""
    for found in (*_from_dataflow(dataflow), *_from_data_path(data_path)):
        return found
    return "", ""


def address(url: str) -> tuple[str, str] | None:
    """The datastore and the path of an `azureml://` or `AmlDatastore://` address, decoded."""
    found = _ADDRESS.fullmatch(url) or _OLD_ADDRESS.fullmatch(url)
    return (unquote(found[1]), unquote(found[2])) if found else None


def _from_dataflow(dataflow: str) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(dataflow or "{}")
    except ValueError:
        document = {"meta": {"RsDataflow": dataflow}}  # the newest service answers with the YAML alone
    if not isinstance(document, Mapping):
        return
    yield from _from_yaml((document.get("meta") or {}).get("RsDataflow"))
    for block in document.get("blocks") or []:
        yield from _from_block(block.get("arguments") or {})


def _from_yaml(text: Any) -> Iterator[tuple[str, str]]:
    try:
        document = yaml.safe_load(text) if isinstance(text, str) else None
    except yaml.YAMLError:
        return
    for path in (document.get("paths") or []) if isinstance(document, Mapping) else []:
        for url in path.values() if isinstance(path, Mapping) else []:
            found = address(str(url))
            if found:
                yield found


def _from_block(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for store in arguments.get("datastores") or []:
        if store.get("datastoreName") and store.get("path"):
            yield str(store["datastoreName"]), str(store["path"]).lstrip("/")
    for details in (arguments.get("path") or {}).get("resourceDetails") or []:
        found = address(str(details.get("path", "")))
        if found:
            yield found


def _from_data_path(data_path: Any) -> Iterator[tuple[str, str]]:
    if data_path is not None and data_path.datastore_name and data_path.relative_path:
        yield str(data_path.datastore_name), str(data_path.relative_path).lstrip("/")
