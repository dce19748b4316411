"""What can be told of a dataset version from its folder, whichever workspace it is of. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from model_training.data.checks import Report, check_rows
from model_training.data.jsonl import read_rows
from model_training.data.parts import PARTS
from model_training.data.rows import Row
from model_training.data.scanning import Progress
from model_training.data.split import SplitOptions
from model_training.workspaces import dataset_files
from model_training.workspaces.base import Dataset, Datastores


class DatasetViews:
    """`_datastores` says where an image in a datastore lies."""

    _datastores: Datastores

    def _folder(self, dataset: Dataset) -> Path:
        return dataset.path

    def rows(self, dataset: Dataset) -> Sequence[Row]:
        return read_rows(dataset.path / "data.jsonl")

    def split_options(self, dataset: Dataset) -> SplitOptions:
        """How the stored split was drawn."""
        return dataset_files.split_options(self._folder(dataset))

    def classes_by_part(self, dataset: Dataset) -> dict[str, dict[str, int]]:
        """For each label, how often it stands in train, validation and test."""
        folder = self._folder(dataset)
        counts = {part: Counter[str]() for part in PARTS}
        for part in PARTS:
            for row in read_rows(folder / f"{part}.jsonl"):
                counts[part].update(row.labels)
        return {label: {part: counts[part][label] for part in PARTS} for label in dataset.labels}

    def parts(self, dataset: Dataset) -> dict[str, str]:
        """The part of each image, by its file name."""
        folder = self._folder(dataset)
        return {row.file_name: part for part in PARTS for row in read_rows(folder / f"{part}.jsonl")}

    def check(self, dataset: Dataset, *, image_size: int, progress: Progress | None = None) -> Report:
        """Read and decode everything again: hashes, sizes, duplicates within and across parts, counts."""
        parts = self.parts(dataset)
        beside = self._folder(dataset) / "data.jsonl"
        return check_rows(
            self.rows(dataset),
            lambda row: self._datastores.resolve(row.image_url, beside),
            part_of=lambda row: parts[row.file_name],
            image_size=image_size,
            progress=progress,
        )
