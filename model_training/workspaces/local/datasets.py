"""The datasets of a local workspace: named, immutable versions; `name`, `name:3`, `name@latest`, `azureml:name:3`.

Knows nothing about formats: rows come in as values. What lies in a version's folder is said in `dataset_files.py`.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from model_training.data.jsonl import resolve_image
from model_training.data.problems import Problem
from model_training.data.rows import Row
from model_training.data.split import SplitOptions
from model_training.workspaces import dataset_files, references
from model_training.workspaces.base import Dataset, Datastores, Reporter, Split, silent
from model_training.workspaces.dataset_views import DatasetViews
from model_training.workspaces.imports import Imported, ImportRequest, exclusive, redrawn
from model_training.workspaces.local.dataset_import import INCOMING, import_dataset, incoming, publish
from model_training.workspaces.local.layout import Layout
from scoring.errors import IntegrityError, NotFoundError
from scoring.files import sha256_of


class LocalDatasets(DatasetViews):
    def __init__(self, root: Path, datastores: Datastores) -> None:
        self._layout = Layout(root)
        self._datastores = datastores

    def create(
        self, name: str, rows: Iterable[Row | Problem], *, task: str, reporter: Reporter = silent, **options: Any
    ) -> Dataset:
        """Check, split and store rows as the next version, or return the latest one if it holds the same content.

        Options: `root` (where relative image URLs start, default the current folder), and every field of
        ImportRequest: parts, repair, reference, split, description, source. Raises: DataError, ConflictError.
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
        beside = (root or Path.cwd()) / "data.jsonl"

        def locate(row: Row) -> Path:
            return self._datastores.resolve(row.image_url, beside)

        return import_dataset(self._layout, ImportRequest(name, rows, locate, **options), reporter)

    def get(self, reference: str) -> Dataset:
        """Raises: NotFoundError that lists what is there; UsageError for a reference that is none."""
        wanted = references.parse(reference)
        there = dataset_files.versions(self._layout.datasets / wanted.name)
        if not there:
            raise NotFoundError(f"there is no dataset {wanted.name!r}", hint=self._hint(wanted))
        version = wanted.version or there[-1]
        if version not in there:
            raise NotFoundError(
                f"dataset {wanted.name!r} has no version {version}; versions: {', '.join(map(str, there))}",
                hint=f"{wanted.name}@latest is version {there[-1]}",
            )
        return dataset_files.read_dataset(self._layout.datasets / wanted.name / str(version))

    def list(self) -> builtins.list[Dataset]:
        """Every version of every dataset, by name and version."""
        folders = sorted(path for path in self._layout.datasets.glob("*") if path.name != INCOMING)
        return [dataset_files.read_dataset(f / str(v)) for f in folders for v in dataset_files.versions(f)]

    def split(self, dataset: Dataset, reporter: Reporter = silent) -> Split:
        """The stored split. Raises: IntegrityError when a referenced image is no longer what was imported."""
        self._check_referenced(dataset)
        return dataset_files.read_split(dataset)

    def part(self, reference: str) -> tuple[Path, tuple[str, ...]]:
        """The JSONL file and the labels that a job's data reference means.

        That is the whole of a dataset, or the part that a derived name (`caps-train`, `caps-val`, `caps-test`) stands
        for where no dataset has that very name. Raises: NotFoundError.
        """
        wanted = references.parse(reference)
        derived = wanted.part()
        if derived and not dataset_files.versions(self._layout.datasets / wanted.name):
            whole, part = derived
            dataset = self.get(f"{whole.name}:{whole.version}" if whole.version else whole.name)
            self._check_referenced(dataset)
            return dataset.path / f"{part}.jsonl", dataset.labels
        dataset = self.get(reference)
        self._check_referenced(dataset)
        return dataset.path / "data.jsonl", dataset.labels

    def resplit(self, name: str, options: SplitOptions) -> Dataset:
        """A new version with the latest one's rows and another split, drawn anew for every image.

        Models trained on the version before have seen images that may be in the new test part.
        """
        references.parse(name)
        with exclusive(incoming(self._layout), name):
            dataset = self.get(name)
            contents = redrawn(dataset, self.rows(dataset), options)
            return publish(self._layout, name, contents)

    def _check_referenced(self, dataset: Dataset) -> None:
        """Images that were left where they are must still have the content that was imported."""
        beside = dataset.path / "data.jsonl"
        outside = [row for row in self.rows(dataset) if row.image_url.startswith("file:")]
        changed = [path for row in outside if not _is(path := resolve_image(row, beside), row.sha256)]
        if changed:
            raise IntegrityError(
                f"{len(changed)} of {len(outside)} images of {dataset.reference} are missing or changed since the "
                f"import, the first: {changed[0]}",
                hint=f"put them back, or import the data again as a new version of {dataset.name}",
            )

    def _hint(self, wanted: references.Reference) -> str:
        names = sorted({dataset.name for dataset in self.list()})
        if not names:
            return "import one first: cva data import FOLDER --format voc|coco|yolo|csv|jsonl --name NAME"
        derived = wanted.part()
        if derived and derived[0].name in names:
            return f"{wanted.name!r} is a part of {derived[0].name!r}: name it in a job file, or give the whole here"
        return f"there are: {', '.join(names)}"


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256
