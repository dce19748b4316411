"""A data set of somebody else gets its split: every image fetched, looked at once and kept; the split drawn and stored.

Captures expire, and anybody may change a blob: the images are copied by their content, as an import's are, so that the
version's exact bytes stay. Interrupted, it goes on where it was: what was fetched lies in the cache, what was looked at
in a journal, what was copied in the container.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from model_training.data.importing import task_of
from model_training.data.rows import Row
from model_training.workspaces.azureml.cache import Cache
from model_training.workspaces.azureml.dataset_store import DatasetStore, Stored
from model_training.workspaces.azureml.datastores import AzureDatastores
from model_training.workspaces.azureml.exports import read_export
from model_training.workspaces.azureml.service import Asset
from model_training.workspaces.azureml.transfer import each
from model_training.workspaces.base import Event, Reporter
from model_training.workspaces.imports import ImportRequest, assign, described, exclusive, look


def adopt(asset: Asset, store: DatasetStore, datastores: AzureDatastores, cache: Cache, reporter: Reporter) -> Stored:
    """Where the version is stored with its split.

    Raises: NotFoundError (an image), DataError (one that cannot be used), ConflictError (another process is at it).
    """
    with exclusive(cache.incoming, asset.name) as staging:
        rows = read_export(asset, store.place, datastores).rows
        text = f"look at the {len(rows)} images of {asset.name}:{asset.version} once, keep them, and split"
        reporter(Event("stage", text))

        def locate(row: Row) -> Path:
            return datastores.resolve(row.image_url, staging / "data.jsonl")

        each(rows, locate, "fetched", reporter)
        source = store.long_form(asset.datastore, asset.path)
        request = ImportRequest(asset.name, rows, locate, source=source, description=asset.description)
        result, pictures = look(request, staging / "journal.jsonl", reporter)
        for row, path in result.rows:
            cache.images.add(path, row.sha256, row.format or "jpg")  # so that none is fetched twice
        placed = store.keep(result.rows, reporter)
        _, kept, options = store.earlier(asset.name, asset.version)
        assignment = assign(placed, pictures, options, kept, {})
        contents = described(
            request, result, pictures, placed=placed, task=task_of(placed), assignment=assignment, options=options
        )
        shutil.rmtree(staging / "version", ignore_errors=True)
        store.write(store.beside(asset), asset.name, asset.version, contents, staging / "version")
        shutil.rmtree(staging)
    return store.beside(asset)
