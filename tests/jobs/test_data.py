"""A job trains on exactly the data it names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model_training.data.formats import read_format
from model_training.data.jsonl import read_rows, resolve_image
from model_training.jobs.data import resolve_data
from model_training.jobs.load import parse_job
from model_training.jobs.spec import JobSpec
from model_training.workspaces.local import LocalWorkspace
from scoring.errors import DataError, NotFoundError

from .jobs_text import job
from .pictures import LABELS, draw


@pytest.fixture
def workspace() -> LocalWorkspace:
    return LocalWorkspace.open()


@pytest.fixture
def caps(workspace: LocalWorkspace, tmp_path: Path) -> LocalWorkspace:
    """A workspace with the stored dataset `caps` of 40 images."""
    source = read_format("jsonl", draw(tmp_path / "caps", 40))
    workspace.datasets.create("caps", source.rows, task="image_object_detection", root=source.root)
    return workspace


def spec(training: str, validation: str = "", **more: object) -> JobSpec:
    return replace(parse_job(job(), "job.yml"), training_data=training, validation_data=validation, **more)


def test_a_stored_dataset_keeps_its_split_and_its_test_part_stays_out(caps: LocalWorkspace, tmp_path: Path) -> None:
    data = resolve_data(spec("azureml:caps@latest"), tmp_path, caps, "azureml:caps-test")
    split = caps.datasets.split(caps.datasets.get("caps"))
    paths = data.paths(tmp_path / "run")
    assert (paths.train, paths.validation, paths.labels) == (split.train, split.validation, LABELS)
    assert data.test is not None and data.test.path == split.test
    assert data.dataset is not None and data.dataset.reference == "caps:1"
    assert data.notes == (
        f"the stored split: {split.counts['train']} images to train, {split.counts['validation']} to validate; "
        f"its {split.counts['test']} test images stay out",
    )


def test_the_derived_training_part_has_the_stored_validation_part(caps: LocalWorkspace, tmp_path: Path) -> None:
    split = caps.datasets.split(caps.datasets.get("caps"))
    named = resolve_data(spec("azureml:caps-train:1"), tmp_path, caps)
    assert (named.train.path, named.validation.path) == (split.train, split.validation)
    both = resolve_data(spec("azureml:caps-train", "azureml:caps-val"), tmp_path, caps)
    assert (both.train.path, both.validation.path) == (split.train, split.validation)
    assert both.sha256 == named.sha256


def test_testing_on_training_images_is_refused(caps: LocalWorkspace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are training images of this job"):
        resolve_data(spec("azureml:caps:1", "azureml:caps-val"), tmp_path, caps, "caps-test")


def test_validating_on_training_images_is_said(caps: LocalWorkspace, tmp_path: Path) -> None:
    data = resolve_data(spec("azureml:caps:1", "azureml:caps-val"), tmp_path, caps)
    count = len(data.validation.rows)
    assert data.notes == (f"{count} of {count} validation images are training images too",)


def test_a_folder_is_split_by_share_and_seed(workspace: LocalWorkspace, tmp_path: Path) -> None:
    draw(tmp_path / "job" / "data", 30)
    data = resolve_data(spec("data", validation_data_size=0.3), tmp_path / "job", workspace)
    assert len(data.train.rows) + len(data.validation.rows) == 30 and 7 <= len(data.validation.rows) <= 11
    again = resolve_data(spec("data", validation_data_size=0.3), tmp_path / "job", workspace)
    assert again.sha256 == data.sha256
    other = resolve_data(spec("data", validation_data_size=0.3, seed=2), tmp_path / "job", workspace)
    assert other.sha256 != data.sha256
    paths = data.paths(tmp_path / "run")
    images = [resolve_image(row, path) for path in (paths.train, paths.validation) for row in read_rows(path)]
    assert len(set(images)) == 30 and all(image.is_file() for image in images)
    assert paths.labels == LABELS


def test_two_folders_are_taken_as_they_are(workspace: LocalWorkspace, tmp_path: Path) -> None:
    draw(tmp_path / "a", 12, seed=1)
    draw(tmp_path / "b", 5, seed=2, labels=("green",))
    data = resolve_data(spec("a", "b"), tmp_path, workspace)
    assert (len(data.train.rows), len(data.validation.rows)) == (12, 5)
    assert data.labels == ("blue", "green", "red")


def test_too_few_images_are_refused(workspace: LocalWorkspace, tmp_path: Path) -> None:
    draw(tmp_path / "few", 9)
    with pytest.raises(DataError, match="expected at least 10 images"):
        resolve_data(spec("few"), tmp_path, workspace)


def test_a_missing_image_is_named(workspace: LocalWorkspace, tmp_path: Path) -> None:
    (draw(tmp_path / "gap", 12) / "003.png").unlink()
    with pytest.raises(DataError, match=r"1 of 12 images cannot be read, the first: .*003\.png: No such file"):
        resolve_data(spec("gap"), tmp_path, workspace)


def test_an_unknown_label_in_the_test_data_is_refused(workspace: LocalWorkspace, tmp_path: Path) -> None:
    draw(tmp_path / "a", 20)
    draw(tmp_path / "t", 3, seed=5, labels=("green",))
    with pytest.raises(DataError, match="labels that the model does not learn: green"):
        resolve_data(spec("a"), tmp_path, workspace, str(tmp_path / "t"))


def test_an_unknown_dataset_is_not_found(workspace: LocalWorkspace, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="caps"):
        resolve_data(spec("azureml:caps:1"), tmp_path, workspace)
