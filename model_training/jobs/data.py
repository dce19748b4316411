"""Which images a job trains and measures on: its references resolved to rows, checked, and written as JSONL parts.

A job uses exactly the data it names. Without `validation_data` the stored split of a dataset decides (its test part
stays out), or a seeded split of the named rows. Trains nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.data.formats import read_format
from model_training.data.jsonl import read_rows, write_rows
from model_training.data.problems import rows_or_raise
from model_training.data.row_json import row_to_json
from model_training.data.rows import Row
from model_training.data.split import SplitOptions, split_rows
from model_training.jobs.spec import DataPaths, JobSpec
from scoring.errors import CvaError, DataError
from scoring.files import sha256_of

if TYPE_CHECKING:
    from model_training.workspaces.base import Dataset
    from model_training.workspaces.local import LocalWorkspace

LEAST_IMAGES = 10  # Azure ML's rule for a data set


@dataclass(frozen=True)
class Part:
    """Rows with resolvable images. `path` is a stored part's own file, None for rows that are written for the run."""

    rows: Sequence[Row]
    labels: tuple[str, ...]
    path: Path | None = None

    def digest(self) -> str:
        """The same for the same pictures and labels, wherever they lie."""
        lines = sorted(json.dumps([row.sha256, row_to_json(row).get("label")], sort_keys=True) for row in self.rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def written(self, path: Path) -> Path:
        """A JSONL file of the rows."""
        if self.path is not None:
            return self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(path, self.rows)
        return path


@dataclass(frozen=True)
class JobData:
    """The parts of one run. `dataset` is where the training images are stored, None for a path."""

    train: Part
    validation: Part
    test: Part | None
    labels: tuple[str, ...]
    dataset: Dataset | None
    notes: tuple[str, ...]  # for people

    @property
    def sha256(self) -> str:
        parts = [self.train, self.validation, *([self.test] if self.test else [])]
        return hashlib.sha256(" ".join(part.digest() for part in parts).encode()).hexdigest()

    def paths(self, folder: Path) -> DataPaths:
        """Files of the training and validation parts; what is not stored already is written into the folder."""
        train = self.train.written(folder / "train.jsonl")
        return DataPaths(train, self.validation.written(folder / "validation.jsonl"), self.labels)


def resolve_data(job: JobSpec, folder: Path, workspace: LocalWorkspace, test_data: str = "") -> JobData:
    """The data of a job whose relative paths start in `folder`; `test_data` is a reference or a path from here.

    Raises: NotFoundError, DataError (bad rows, too few images, test images among the training images).
    """
    named = _named(job.training_data, folder, workspace)
    notes: list[str] = []
    if job.validation_data:
        train, validation = named, _named(job.validation_data, folder, workspace)
    else:
        train, validation, notes = _split_off(named, job)
    _require(train, validation, job)
    test = _named(test_data, Path.cwd(), workspace) if test_data else None
    labels = tuple(sorted({*train.labels, *validation.labels}))
    notes += _check_overlaps(train, validation, test, test_data)
    _check_labels(test, labels, test_data)
    return JobData(train, validation, test, labels, _dataset(named, workspace), tuple(notes))


def _named(reference: str, folder: Path, workspace: LocalWorkspace) -> Part:
    """What a path or a dataset reference means."""
    path = folder / reference
    if not reference.startswith("azureml:") and path.exists():
        return _from_path(path, workspace)
    found, labels = workspace.datasets.part(reference)
    return Part(read_rows(found), labels, found)


def _from_path(path: Path, workspace: LocalWorkspace) -> Part:
    """The rows of an MLTable folder or a .jsonl file, each image found, hashed and given its absolute address."""
    source = read_format("jsonl", path)
    rows, problems = [], []
    for row in rows_or_raise(source.rows, str(path)):
        try:
            image = workspace.datastores.resolve(row.image_url, source.root / "data.jsonl")
            rows.append(replace(row, image_url=image.absolute().as_uri(), sha256=sha256_of(image)))
        except (CvaError, OSError) as error:
            problems.append(f"{row.image_url}: {error.strerror if isinstance(error, OSError) else error}")
    if problems:
        raise DataError(
            f"{path}: {len(problems)} of {len(rows) + len(problems)} images cannot be read, the first: {problems[0]}",
            hint="correct the image_url of these rows, or remove them",
            problems=problems,
        )
    return Part(rows, tuple(sorted({label for row in rows for label in row.labels})))


def _split_off(named: Part, job: JobSpec) -> tuple[Part, Part, list[str]]:
    """Training and validation part of data that comes without validation_data."""
    stored = _stored(named)
    if stored is not None:
        train, validation = (Part(read_rows(path), named.labels, path) for path in stored)
        if train.rows and validation.rows:
            out = len(named.rows) - len(train.rows) - len(validation.rows) if _is_whole(named) else 0
            text = f"the stored split: {len(train.rows)} images to train, {len(validation.rows)} to validate"
            return train, validation, [text + (f"; its {out} test images stay out" if out else "")]
    share = job.validation_data_size
    parts = split_rows(named.rows, SplitOptions(seed=job.seed, fractions=(1 - share, share, 0.0))).parts
    train, validation = (
        Part([row for row, own in zip(_located(named), parts, strict=True) if own == part], named.labels)
        for part in ("train", "validation")
    )
    counts = f"{len(train.rows)} images to train, {len(validation.rows)} to validate"
    return train, validation, [f"a seeded split (validation_data_size {share:g}, seed {job.seed}): {counts}"]


def _is_whole(part: Part) -> bool:
    return part.path is not None and part.path.name == "data.jsonl"


def _stored(part: Part) -> tuple[Path, Path] | None:
    """The files of the stored split that the reference belongs to: for a whole dataset or its training part."""
    if part.path is None or part.path.name not in ("data.jsonl", "train.jsonl"):
        return None
    return part.path.with_name("train.jsonl"), part.path.with_name("validation.jsonl")


def _located(part: Part) -> Sequence[Row]:
    """Rows whose addresses hold in any folder."""
    if part.path is None:
        return part.rows
    here = part.path.parent
    return [
        row if ":" in row.image_url else replace(row, image_url=(here / row.image_url).resolve().as_uri())
        for row in part.rows
    ]


def _require(train: Part, validation: Part, job: JobSpec) -> None:
    total = len(train.rows) + len(validation.rows)
    if total < LEAST_IMAGES or not train.rows or not validation.rows:
        raise DataError(
            f"{job.training_data}: expected at least {LEAST_IMAGES} images and some of them to validate, "
            f"found {len(train.rows)} to train and {len(validation.rows)} to validate",
            hint="label more images, or name more data in training_data and validation_data",
        )
    if not train.labels:
        raise DataError(
            f"{job.training_data}: none of its {len(train.rows)} images has a labelled object",
            hint="label some objects first",
        )


def _check_overlaps(train: Part, validation: Part, test: Part | None, test_data: str) -> list[str]:
    seen = {row.sha256 for row in train.rows}
    both = sum(row.sha256 in seen for row in validation.rows)
    notes = [f"{both} of {len(validation.rows)} validation images are training images too"] if both else []
    leaked = sum(row.sha256 in seen for row in test.rows) if test else 0
    if leaked and test:
        raise DataError(
            f"{test_data}: {leaked} of its {len(test.rows)} images are training images of this job",
            hint="test on images that the model has not seen, such as NAME-test with training_data NAME-train",
        )
    return notes


def _check_labels(test: Part | None, labels: tuple[str, ...], test_data: str) -> None:
    unknown = sorted(set(test.labels if test else ()) - set(labels))
    if unknown:
        raise DataError(
            f"{test_data}: labels that the model does not learn: {', '.join(unknown)}",
            hint=f"it learns: {', '.join(labels)}",
        )


def _dataset(part: Part, workspace: LocalWorkspace) -> Any:
    """The stored dataset version that a part lies in."""
    if part.path is None:
        return None
    version = part.path.parent
    return workspace.datasets.get(f"{version.parent.name}:{version.name}")
