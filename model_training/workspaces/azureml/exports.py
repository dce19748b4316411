"""Data sets that somebody registered in the studio, with the SDK or from a labelling project: read as they are.

Either generation's: a folder with MLTable and JSON Lines (v2), or the JSON Lines file of a tabular data set (v1).
Rows come back with the long form of their image's place. Opens no image.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from model_training.data.image_urls import datastore_path
from model_training.data.importing import task_of
from model_training.data.jsonl import parse_rows
from model_training.data.mltable import MAX_BYTES, NAME, entries
from model_training.data.problems import Problem, rows_or_raise
from model_training.data.rows import Row
from model_training.workspaces.azureml.datastores import AzureDatastores
from model_training.workspaces.azureml.naming import image_url, inside
from model_training.workspaces.azureml.service import Asset, Place
from model_training.workspaces.base import Dataset
from model_training.workspaces.patterns import literal_folder, matches
from scoring.errors import DataError, NotFoundError
from scoring.files import sha256_of

ENDINGS = (".jsonl", ".json")


@dataclass(frozen=True)
class Export:
    """`sha256` is that of the files as they are: the images' content is known once their split is drawn."""

    rows: list[Row]
    sha256: str


def read_export(asset: Asset, place: Place, datastores: AzureDatastores) -> Export:
    """Raises: NotFoundError (its files), DataError (not JSON Lines of images, or bad rows; all of them are listed)."""
    items: list[Row | Problem] = []
    digests: list[str] = []
    for datastore, path in _files(asset, datastores):
        file = datastores.file(datastore, path)
        digests.append(sha256_of(file))
        items += [_placed(item, datastore, path, place) for item in parse_rows(file)]
    rows = rows_or_raise(items, f"dataset {asset.name}:{asset.version}")
    if not rows:
        raise DataError(f"dataset {asset.name}:{asset.version} has no rows", hint="export the labels again")
    return Export(rows, hashlib.sha256(" ".join(digests).encode()).hexdigest())


def unsplit(asset: Asset, export: Export, folder: Path) -> Dataset:
    """The version as far as its rows tell; `folder` is where its files will be once its split is drawn."""
    return Dataset(
        name=asset.name,
        version=asset.version,
        sha256=export.sha256,
        task=task_of(export.rows),
        labels=tuple(sorted({label for row in export.rows for label in row.labels})),
        images=len(export.rows),
        boxes=sum(len(row.boxes) for row in export.rows),
        path=folder,
        created_at=asset.created_at,
        description=asset.description,
    )


def _files(asset: Asset, datastores: AzureDatastores) -> Iterator[tuple[str, str]]:
    """Datastore and path of every JSON Lines file."""
    path = asset.path.strip("/")
    if path.endswith(ENDINGS):
        yield asset.datastore, path
        return
    table = path if path.endswith(NAME) else f"{path}/{NAME}"
    folder = posixpath.dirname(table)
    text = datastores.blobs(asset.datastore).read(table, limit=MAX_BYTES)
    for kind, value in entries(text, f"dataset {asset.name}:{asset.version}, {NAME}"):
        yield from _named(kind, value, asset.datastore, folder, datastores)


def _named(
    kind: str, value: str, datastore: str, folder: str, datastores: AzureDatastores
) -> Iterator[tuple[str, str]]:
    """What one entry of an MLTable means: relative to it, or anywhere in a datastore."""
    there = datastore_path(value)
    if there is None and "://" in value:
        raise DataError(
            f"MLTable names {value.partition('?')[0]!r}, which is in no datastore",
            hint="register the data set with files of a datastore of this workspace",
        )
    store, path = there or (datastore, inside(posixpath.normpath(posixpath.join(folder, value)), datastore))
    if kind == "file":
        yield store, path
        return
    found = [each for each in datastores.blobs(store).list(literal_folder(path)) if matches(each, path)]
    if not found:
        raise NotFoundError(f"MLTable names {value!r}, and there is no such file", hint="export the labels again")
    yield from ((store, each) for each in sorted(found))


def _placed(item: Row | Problem, datastore: str, file: str, place: Place) -> Row | Problem:
    """The row with the long form of its place. Its own word on the image's size is not held against the image: exports
    count pixels before the picture is turned upright.
    """
    if isinstance(item, Problem):
        return item
    there = datastore_path(item.image_url)
    if there is None and ":" in item.image_url:
        return Problem(file, 0, f"image_url: expected an image in a datastore, found {item.image_url!r}")
    relative = posixpath.normpath(posixpath.join(posixpath.dirname(file), item.image_url))
    store, path = there or (datastore, inside(relative, datastore))
    return replace(item, image_url=image_url(place, store, path), width=None, height=None)
