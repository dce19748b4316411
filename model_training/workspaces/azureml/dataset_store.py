"""Dataset versions in blob storage: the files of `dataset_files.py`, and a folder for each part that AutoML can read.

    cva/images/ab/<sha256>.jpg                       every image once, by its content
    cva/datasets/NAME/<when>-<content>/              data.jsonl MLTable tabular.jsonl dataset.json … train/ val/ test/
    cva/splits/NAME/<version>-<kind>/                the same, for a data set that was registered elsewhere

`dataset.json` is uploaded last: without it a folder is not there yet. Rows say where their image is in the long form
(`tabular.jsonl`, which SDK v1 reads, in the short one); on this machine those of validation and test are rewritten to
the cache, since they are measured here.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from model_training.data.image_urls import datastore_path
from model_training.data.jsonl import read_rows, write_rows
from model_training.data.mltable import write_mltable
from model_training.data.rows import Row
from model_training.data.split import SplitOptions
from model_training.workspaces import dataset_files, files
from model_training.workspaces.azureml.cache import Cache
from model_training.workspaces.azureml.datastores import AzureDatastores
from model_training.workspaces.azureml.naming import PARTS, image_url, older_image_url
from model_training.workspaces.azureml.service import V1_ROWS, Asset, Place, Service
from model_training.workspaces.azureml.transfer import each, upload_folder, upload_new
from model_training.workspaces.base import Dataset, Reporter
from model_training.workspaces.names import now
from scoring.errors import IntegrityError
from scoring.files import sha256_of

IMAGES = "cva/images/"
LAST = "dataset.json"
FILES = ("data.jsonl", "MLTable", "fingerprints.json", "split.json", "train.jsonl", "validation.jsonl", "test.jsonl")
SHA_TAG, SPLIT_TAG, OF_TAG = "cva_sha256", "cva_split_sha256", "cva_of"
MEASURED = ("validation", "test")
MAX_JSON = 64 << 20  # bytes; a split of a million images


@dataclass(frozen=True)
class Stored:
    datastore: str
    folder: str


class DatasetStore:
    def __init__(self, service: Service, cache: Cache, datastores: AzureDatastores) -> None:
        self._service = service
        self._cache = cache
        self._datastores = datastores

    @property
    def place(self) -> Place:
        return self._service.place

    def of(self, asset: Asset) -> Stored | None:
        """Where the files of a version are, or None for one of somebody else whose split was not drawn yet."""
        if asset.tags.get(SHA_TAG):
            path = PurePosixPath(asset.path.strip("/"))
            return Stored(asset.datastore, str(path.parent if path.suffix == ".jsonl" else path))
        stored = self.beside(asset)
        return stored if self._datastores.blobs(stored.datastore).exists(f"{stored.folder}/{LAST}") else None

    def beside(self, asset: Asset) -> Stored:
        """Where the split of somebody else's version is kept; the two registries count apart, so by kind."""
        return Stored(self._service.default_datastore(), f"cva/splits/{asset.name}/{asset.version}-{asset.kind}")

    def new(self, name: str, sha256: str) -> Stored:
        """A place for a version that is not registered yet."""
        moment = now().translate(str.maketrans("", "", "-:."))
        return Stored(self._service.default_datastore(), f"cva/datasets/{name}/{moment}-{sha256[:12]}")

    def write(self, stored: Stored, name: str, version: int, contents: dataset_files.Contents, staged: Path) -> None:
        """Upload a version that is made in the empty place `staged`. `version` is 0 while it is not known."""
        dataset_files.write_version(staged, name, version, contents, now())
        _write_tabular(staged, contents.rows)
        for part, suffix in PARTS.items():
            rows = zip(contents.rows, contents.assignment.parts, strict=True)
            _write_part(staged / suffix[1:], [row for row, own in rows if own == part])
        upload_folder(self._datastores.blobs(stored.datastore), staged, stored.folder, LAST)

    def keep(self, files: Sequence[tuple[Row, Path]], reporter: Reporter) -> list[Row]:
        """Upload images by their content, each once; the rows say then that they lie here, where nothing expires."""
        datastore = self._service.default_datastore()
        paths = [f"{IMAGES}{row.sha256[:2]}/{row.sha256}.{row.format or 'jpg'}" for row, _ in files]
        wanted = ((file, path) for (_, file), path in zip(files, paths, strict=True))
        upload_new(self._datastores.blobs(datastore), wanted, IMAGES, reporter)
        return [
            replace(row, image_url=self.long_form(datastore, path)) for (row, _), path in zip(files, paths, strict=True)
        ]

    def json(self, stored: Stored, name: str) -> dict[str, Any]:
        """`split.json` or `dataset.json` without the rest."""
        path = f"{stored.folder}/{name}"
        return files.parse_json(self._datastores.blobs(stored.datastore).read(path, limit=MAX_JSON), path)

    def fetch(self, asset: Asset, stored: Stored) -> Path:
        """The version's files in the cache, with the number that the registry gave it."""
        folder = self._cache.dataset(asset.name, asset.version)
        if not (folder / LAST).is_file():
            partial = self._cache.incoming / f"{asset.name}-{uuid.uuid4().hex[:8]}"
            partial.mkdir(parents=True)
            try:
                for file in FILES:
                    self._datastores.blobs(stored.datastore).download(f"{stored.folder}/{file}", partial / file)
                about = self.json(stored, LAST) | {"name": asset.name, "version": asset.version}
                files.write_json(partial / LAST, about)
                folder.parent.mkdir(parents=True, exist_ok=True)
                _move(partial, folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return folder

    def earlier(self, name: str, version: int | None = None) -> tuple[Dataset | None, dict[str, str], SplitOptions]:
        """The version before that one (or the latest) whose split is stored: it, its keys and how it was drawn."""
        others = [a for a in self._service.assets(name, everywhere=True) if a.version != version]
        before = [a for a in others if version is None or a.version < version]
        for asset in sorted(before or others, key=lambda asset: asset.version, reverse=True):
            stored = self.of(asset)
            if stored:
                folder = self.fetch(asset, stored)
                keys = dict(dataset_files.split_json(folder)["keys"])
                return dataset_files.read_dataset(folder), keys, dataset_files.split_options(folder)
        return None, {}, SplitOptions()

    def localise(self, folder: Path, reporter: Reporter) -> None:
        """Fetch the images that are measured on this machine; their rows say then where they lie here."""
        origin = {row.sha256: row for row in read_rows(folder / "data.jsonl")}
        rows = {part: read_rows(folder / f"{part}.jsonl") for part in MEASURED}
        missing = {r.sha256: origin[r.sha256] for own in rows.values() for r in own if not self._image(r).is_file()}
        each(list(missing.values()), self._fetch_image, "fetched", reporter)
        for part, own in rows.items():
            write_rows(folder / f"{part}.jsonl", [replace(row, image_url=self._relative(row)) for row in own])

    def long_form(self, datastore: str, path: str) -> str:
        return image_url(self._service.place, datastore, path)

    def _fetch_image(self, row: Row) -> None:
        place = datastore_path(row.image_url)
        if place is None:
            raise IntegrityError(f"{row.image_url}: expected an image in a datastore", hint="import the data set again")
        path = self._datastores.file(*place)
        if sha256_of(path) != row.sha256:
            path.unlink()
            raise IntegrityError(
                f"{row.image_url} is no longer the image that was imported",
                hint="put it back, or import the data again as a new version",
            )
        self._cache.images.add(path, row.sha256, row.format or "jpg")

    def _image(self, row: Row) -> Path:
        return self._cache.images.path(row.sha256, row.format or "jpg")

    def _relative(self, row: Row) -> str:
        return f"../../../{self._image(row).relative_to(self._cache.root).as_posix()}"


def _write_part(folder: Path, rows: Sequence[Row]) -> None:
    """What AutoML reads: MLTable and rows of image_url, image_details and label, nothing that it does not know."""
    folder.mkdir()
    write_rows(folder / "data.jsonl", [_plain(row) for row in rows])
    write_mltable(folder, "data.jsonl")
    _write_tabular(folder, rows)


def _write_tabular(folder: Path, rows: Sequence[Row]) -> None:
    """The same for SDK v1."""
    placed = ((_plain(row), datastore_path(row.image_url)) for row in rows)
    write_rows(
        folder / V1_ROWS, [replace(row, image_url=older_image_url(*place)) if place else row for row, place in placed]
    )


def _plain(row: Row) -> Row:
    return replace(row, file_name="", sha256="")


def _move(partial: Path, folder: Path) -> None:
    """Into its place, unless another process was quicker."""
    try:
        partial.rename(folder)
    except OSError:
        if not (folder / LAST).is_file():
            raise
