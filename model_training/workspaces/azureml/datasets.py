"""The datasets of an Azure ML workspace: those that were imported with `cva`, and those of anybody else.

Ours lie in blob storage with their split (`dataset_store.py`). Anybody else's, such as a labelling project's export,
are used as they are (`exports.py`): their first `split` fetches and hashes every image, draws the split and stores it.
"""

from __future__ import annotations

import builtins
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_training.data.image_urls import datastore_path
from model_training.data.importing import Import, task_of
from model_training.data.jsonl import read_rows
from model_training.data.problems import Problem
from model_training.data.rows import Row
from model_training.data.split import SplitOptions
from model_training.workspaces import dataset_files, references
from model_training.workspaces.azureml.adoption import adopt
from model_training.workspaces.azureml.cache import Cache
from model_training.workspaces.azureml.dataset_store import (
    LAST,
    OF_TAG,
    SHA_TAG,
    SPLIT_TAG,
    DatasetStore,
)
from model_training.workspaces.azureml.datastores import AzureDatastores
from model_training.workspaces.azureml.exports import read_export, unsplit
from model_training.workspaces.azureml.naming import check_dataset_name
from model_training.workspaces.azureml.service import Asset, Service
from model_training.workspaces.azureml.training import Training
from model_training.workspaces.base import Dataset, Event, Reporter, Split, silent
from model_training.workspaces.dataset_views import DatasetViews
from model_training.workspaces.imports import (
    Imported,
    ImportRequest,
    assign,
    described,
    exclusive,
    look,
    redrawn,
    same_notes,
    unchanged,
)
from scoring.errors import NotFoundError, UsageError


class AzureDatasets(DatasetViews):
    def __init__(self, service: Service, cache: Cache, datastores: AzureDatastores, training: Training) -> None:
        self._service = service
        self._cache = cache
        self._training = training
        self._datastores: AzureDatastores = datastores
        self._store = DatasetStore(service, cache, datastores)

    def create(
        self, name: str, rows: Iterable[Row | Problem], *, task: str, reporter: Reporter = silent, **options: Any
    ) -> Dataset:
        """Check, split, upload and register rows as the next version, or return the latest one of the same content.

        Options: `root` (where relative image URLs start, default the current folder), and every field of
        ImportRequest. With `reference`, images that are in a datastore of this workspace stay there.
        Raises: UsageError (the name), DataError, ConflictError.
        """
        return self.import_rows(name, rows, task=task, reporter=reporter, **options).dataset

    def import_rows(
        self,
        name: str,
        rows: Iterable[Row | Problem],
        *,
        root: Path | None = None,
        reporter: Reporter = silent,
        **options: Any,
    ) -> Imported:
        """`create`, with what was left out, changed and noted on the way."""
        check_dataset_name(name)
        beside = (root or Path.cwd()) / "data.jsonl"

        def locate(row: Row) -> Path:
            return self._datastores.resolve(row.image_url, beside)

        with exclusive(self._cache.incoming, name) as staging:
            imported = self._import(ImportRequest(name, rows, locate, **options), staging, reporter)
            shutil.rmtree(staging)
        return imported

    def get(self, reference: str) -> Dataset:
        """Raises: NotFoundError that lists what is there; UsageError for a reference that is none; DataError."""
        asset = self.find(reference)
        stored = self._store.of(asset)
        return dataset_files.read_dataset(self._store.fetch(asset, stored)) if stored else self._unsplit(asset)

    def find(self, reference: str) -> Asset:
        """The registered version, in either generation's registry; fetches nothing. Raises: NotFoundError."""
        wanted = references.parse(reference)
        there = {asset.version: asset for asset in self._service.assets(wanted.name, everywhere=True)}
        if not there:
            raise NotFoundError(f"there is no dataset {wanted.name!r}", hint=self._hint())
        version = wanted.version or max(there)
        if version not in there:
            raise NotFoundError(
                f"dataset {wanted.name!r} has no version {version}; versions: {', '.join(map(str, sorted(there)))}",
                hint=f"{wanted.name}@latest is version {max(there)}",
            )
        asset = there[version]
        if whole := asset.tags.get(OF_TAG):
            raise NotFoundError(
                f"{asset.name}:{version} is a part of {whole}", hint="give the whole; its parts are found by themselves"
            )
        return asset

    def list(self) -> builtins.list[Dataset]:
        """Every version of every dataset, by name and version; what was registered elsewhere is not looked into."""
        assets = [asset for asset in self._service.assets(everywhere=True) if OF_TAG not in asset.tags]
        return [self._listed(asset) for asset in sorted(assets, key=lambda asset: (asset.name, asset.version))]

    def rows(self, dataset: Dataset) -> Sequence[Row]:
        """As stored; of a version whose split was not drawn yet as somebody registered them, without content hashes."""
        stored = dataset.path / "data.jsonl"
        if stored.is_file():
            return read_rows(stored)
        return read_export(self.find(dataset.reference), self._service.place, self._datastores).rows

    def split(self, dataset: Dataset, reporter: Reporter = silent) -> Split:
        """The stored split, drawn first where there is none yet; its parts are registered, its images fetched.

        Validation and test images are on this machine then, training images where they were.
        Raises: IntegrityError when an image is no longer what was imported; DataError for images that cannot be used.
        """
        asset = self.find(dataset.reference)
        stored = self._store.of(asset) or adopt(asset, self._store, self._datastores, self._cache, reporter)
        folder = self._store.fetch(asset, stored)
        self._store.localise(folder, reporter)
        split = dataset_files.read_split(dataset_files.read_dataset(folder))
        return replace(split, assets=self._training.parts(asset, split, stored, folder, reporter))

    def resplit(self, name: str, options: SplitOptions) -> Dataset:
        """A new version with the latest one's rows and another split, drawn anew for every image.

        Models trained on the version before have seen images that may be in the new test part.
        """
        check_dataset_name(name)
        dataset = self.get(name)
        folder = self._folder(dataset)
        with exclusive(self._cache.incoming, name) as staging:
            contents = redrawn(dataset_files.read_dataset(folder), read_rows(folder / "data.jsonl"), options)
            made = self._publish(name, contents, staging / "version", silent)
            shutil.rmtree(staging)
        return made

    def _folder(self, dataset: Dataset) -> Path:
        """Where the version's files are here; the split of somebody else's is drawn for it."""
        if not (dataset.path / LAST).is_file():
            self.split(dataset)
        return dataset.path

    def _import(self, request: ImportRequest, staging: Path, reporter: Reporter) -> Imported:
        result, pictures = look(request, staging / "journal.jsonl", reporter)
        rows = [row for row, _ in result.rows]
        latest, kept, before = self._store.earlier(request.name)
        if latest and latest.sha256 == dataset_files.dataset_sha256(rows):
            return unchanged(latest, result, request, before)
        options = request.split or before
        assignment = assign(rows, pictures, options, kept, request.parts)
        placed = self._placed(result, request.reference, reporter)
        task = request.task or task_of(rows)
        contents = described(
            request, result, pictures, placed=placed, task=task, assignment=assignment, options=options
        )
        dataset = self._publish(request.name, contents, staging / "version", reporter)
        return Imported(dataset, True, result.problems, result.changed, [*assignment.notes, *same_notes(rows)])

    def _publish(self, name: str, contents: dataset_files.Contents, staged: Path, reporter: Reporter) -> Dataset:
        """Upload, then register: the version exists for others from then on."""
        shutil.rmtree(staged, ignore_errors=True)
        sha256 = dataset_files.dataset_sha256(contents.rows)
        stored = self._store.new(name, sha256)
        self._store.write(stored, name, 0, contents, staged)
        split_sha256 = dataset_files.split_json(staged)["sha256"]
        asset = self._service.register_asset(
            name,
            datastore=stored.datastore,
            path=stored.folder,
            tags={SHA_TAG: sha256, SPLIT_TAG: split_sha256, "cva_task": contents.task},
            description=contents.description,
        )
        reporter(Event("message", f"registered {asset.name}:{asset.version}"))
        dataset = dataset_files.read_dataset(self._store.fetch(asset, stored))
        self._training.parts(asset, dataset_files.read_split(dataset), stored, dataset.path)
        return dataset

    def _placed(self, result: Import, reference: bool, reporter: Reporter) -> Sequence[Row]:
        """Rows that say where their image will be found: uploaded by its content, or where it is already."""
        if reference:
            return [replace(row, image_url=self._where_it_is(row)) for row, _ in result.rows]
        return self._store.keep(result.rows, reporter)

    def _where_it_is(self, row: Row) -> str:
        place = datastore_path(row.image_url)
        if place is None:
            raise UsageError(
                f"{row.file_name}: expected an image in a datastore of the workspace, found one of this machine",
                hint="import without --reference: the images are uploaded then",
            )
        return self._store.long_form(*place)

    def _unsplit(self, asset: Asset) -> Dataset:
        """What is known of a version before its images were looked at."""
        export = read_export(asset, self._service.place, self._datastores)
        return unsplit(asset, export, self._cache.dataset(asset.name, asset.version))

    def _listed(self, asset: Asset) -> Dataset:
        folder = self._cache.dataset(asset.name, asset.version)
        if (folder / LAST).is_file():
            return dataset_files.read_dataset(folder)
        stored = self._store.of(asset)
        if stored:
            return dataset_files.parse_dataset(
                self._store.json(stored, LAST) | {"name": asset.name, "version": asset.version}, folder
            )
        said = asset.description or f"registered elsewhere ({asset.kind}); `cva data show` looks into it"
        return Dataset(asset.name, asset.version, "", "", (), 0, 0, folder, asset.created_at, said)

    def _hint(self) -> str:
        names = sorted({a.name for a in self._service.assets(everywhere=True) if OF_TAG not in a.tags})
        if not names:
            return "import one first: cva data import FOLDER --name NAME, or export one from a labelling project"
        return f"there are: {', '.join(names)}"
