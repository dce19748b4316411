"""Datasets imported into an Azure ML workspace: what lies in blob storage, what is registered, what is fetched."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_training.data.image_urls import datastore_path
from model_training.data.jsonl import read_rows, resolve_image
from model_training.data.mltable import read_mltable
from model_training.data.rows import Row
from model_training.workspaces.base import Dataset
from model_training.workspaces.imports import exclusive
from model_training.workspaces.local import LocalWorkspace
from scoring.errors import ConflictError, IntegrityError, NotFoundError, OfflineError, UsageError
from scoring.files import sha256_of
from tests.contracts.workspace_contract import TASK, pictures
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import PLACE, Cloud, MemoryService

LONG = f"azureml://subscriptions/{PLACE.subscription_id}/resourcegroups/caps-rg/workspaces/caps-aml/datastores/"


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    return pictures(tmp_path / "pictures", 20)


@pytest.fixture
def caps(cloud: Cloud, rows: list[Row], tmp_path: Path) -> Dataset:
    return opened(cloud, tmp_path / "importer")[0].datasets.create("caps", rows, task=TASK)


def cut_off(service: MemoryService, call: str, after: int = 0) -> None:
    """The network is gone from that call on."""
    seen = Counter[str]()

    def network(called: str) -> None:
        seen[called] += 1
        if seen[call] > after:
            raise OfflineError("the connection was dropped")

    service.network = network


def test_blob_storage_holds_a_folder_that_automl_can_read(cloud: Cloud, caps: Dataset, tmp_path: Path) -> None:
    (asset,) = [asset for asset in cloud.data["v2"] if asset.name == "caps"]
    assert asset.path.startswith("cva/datasets/caps/")
    files = cloud.files(asset.datastore)
    for name in ("MLTable", "data.jsonl"):
        (tmp_path / name).write_bytes(files[f"{asset.path}/{name}"])
    (table,) = read_mltable(tmp_path)
    for row in read_rows(table):
        assert row.image_url.startswith(LONG)
        datastore, path = datastore_path(row.image_url) or ("", "")
        assert path == f"cva/images/{row.sha256[:2]}/{row.sha256}.png"
        assert path in cloud.files(datastore)


def test_its_parts_are_data_sets_of_their_own_with_the_splits_hash(cloud: Cloud, caps: Dataset, tmp_path: Path) -> None:
    workspace, _ = opened(cloud, tmp_path / "step")
    split = workspace.datasets.split(caps)
    assert split.assets == {"train": "caps-train:1", "validation": "caps-val:1", "test": "caps-test:1"}
    assert [asset.name for asset in cloud.data["v2"]] == ["caps", "caps-train", "caps-val", "caps-test"]
    for asset in cloud.data["v2"][1:]:
        assert asset.tags["cva_split_sha256"] == split.sha256
        assert asset.tags["cva_of"] == "caps:1"
        lines = [json.loads(line) for line in cloud.files()[f"{asset.path}/data.jsonl"].splitlines()]
        assert len(lines) == split.counts[asset.tags["cva_part"]]
        assert {key for line in lines for key in line} <= {"image_url", "image_details", "label"}  # AutoML knows these


def test_another_machine_has_the_measured_images_after_the_split(cloud: Cloud, caps: Dataset, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "step")
    dataset = workspace.datasets.get("caps")
    assert (dataset.sha256, dataset.labels, dataset.boxes) == (caps.sha256, ("cap", "no_cap"), 20)
    split = workspace.datasets.split(dataset)
    for path in (split.validation, split.test):
        for row in read_rows(path):
            assert sha256_of(resolve_image(row, path)) == row.sha256
    fetched = service.calls.count("blobs.download") - 7  # the version's own files
    assert fetched == split.counts["validation"] + split.counts["test"]  # training images stay in the cloud
    train = read_rows(split.train)
    assert sha256_of(workspace.datastores.resolve(train[0].image_url, split.train)) == train[0].sha256
    before = len(service.calls)
    assert workspace.datasets.split(dataset) == split
    assert "blobs.download" not in service.calls[before:]


def test_a_split_is_the_one_that_a_folder_would_have_got(
    cloud: Cloud, caps: Dataset, rows: list[Row], tmp_path: Path
) -> None:
    local = LocalWorkspace.open(tmp_path / "local").datasets
    here = local.create("caps", rows, task=TASK)
    split = opened(cloud, tmp_path / "step")[0].datasets.split(caps)
    assert (caps.sha256, split.sha256) == (here.sha256, local.split(here).sha256)


def test_an_image_is_uploaded_once(cloud: Cloud, caps: Dataset, rows: list[Row], tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "again")
    more = [*rows, *pictures(tmp_path / "pictures", 5, first=20)]
    second = workspace.datasets.create("caps", more, task=TASK)
    assert (second.version, second.images) == (2, 25)
    files_of_a_version = 9 + 3 * 3
    assert service.calls.count("blobs.upload") == 5 + files_of_a_version
    assert len([path for path in cloud.files() if path.startswith("cva/images/")]) == 25


def test_the_same_content_makes_no_new_version(cloud: Cloud, caps: Dataset, rows: list[Row], tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "again")
    again = workspace.datasets.import_rows("caps", list(reversed(rows)), task=TASK)
    assert (again.new, again.dataset.reference) == (False, "caps:1")
    assert "register_asset" not in service.calls


def test_content_that_comes_back_is_a_version_with_parts_of_its_own(
    cloud: Cloud, caps: Dataset, rows: list[Row], tmp_path: Path
) -> None:
    """What a model was trained on is said by the version that was asked for, though the rows are the first one's."""
    workspace, _ = opened(cloud, tmp_path / "again")
    workspace.datasets.create("caps", rows[:15], task=TASK)
    third = workspace.datasets.create("caps", rows, task=TASK)
    assert (third.version, third.sha256) == (3, caps.sha256)
    assert workspace.datasets.split(third).assets["train"] == "caps-train:3"
    assert workspace.datasets.split(caps).assets["train"] == "caps-train:1"


@pytest.mark.parametrize(
    ("call", "after"),
    [
        ("blobs.upload", 5),  # among the images
        ("blobs.upload", 25),  # among the version's own files
        ("register_asset", 0),
    ],
)
def test_an_import_that_is_cut_off_leaves_no_version_and_goes_on(
    cloud: Cloud, rows: list[Row], tmp_path: Path, call: str, after: int
) -> None:
    workspace, service = opened(cloud, tmp_path / "importer")
    cut_off(service, call, after)
    with pytest.raises(OfflineError):
        workspace.datasets.create("caps", rows, task=TASK)
    service.network = lambda called: None
    assert workspace.datasets.list() == []
    service.calls.clear()
    assert workspace.datasets.create("caps", rows, task=TASK).version == 1
    images = max(20 - after, 0) if call == "blobs.upload" else 0
    assert service.calls.count("blobs.upload") <= images + 18 + 8  # what was under way when it was cut off


def test_parts_that_are_missing_are_registered_by_the_split(cloud: Cloud, rows: list[Row], tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "importer")
    cut_off(service, "register_asset", 2)
    with pytest.raises(OfflineError):
        workspace.datasets.create("caps", rows, task=TASK)
    workspace, _ = opened(cloud, tmp_path / "step")
    split = workspace.datasets.split(workspace.datasets.get("caps"))
    assert split.assets == {"train": "caps-train:1", "validation": "caps-val:1", "test": "caps-test:1"}
    assert [asset.name for asset in cloud.data["v2"]] == ["caps", "caps-train", "caps-val", "caps-test"]


@pytest.mark.parametrize(("importer", "reader"), [("v1", "v2"), ("v2", "v1")])
def test_the_other_generation_reads_it_and_the_split_is_the_same(
    cloud: Cloud, rows: list[Row], tmp_path: Path, importer: str, reader: str
) -> None:
    """Of its parts there are those of v2 alone where v1 is asked for a data set of v2."""
    caps = opened(cloud, tmp_path / "importer", importer)[0].datasets.create("caps", rows, task=TASK)
    workspace, _ = opened(cloud, tmp_path / "reader", reader)
    dataset = workspace.datasets.get("caps:1")
    assert dataset.sha256 == caps.sha256
    split = workspace.datasets.split(dataset)
    assert split.sha256 == opened(cloud, tmp_path / "again", importer)[0].datasets.split(caps).sha256
    parts = [(name, "mltable") for name in ("caps-train", "caps-val", "caps-test")]
    assert [(asset.name, asset.kind) for asset in cloud.data["v2"] if asset.name != "caps"] == parts
    assert sum(asset.name != "caps" for asset in cloud.data["v1"]) == (3 if importer == "v1" else 0)


def test_each_generation_reads_rows_in_the_form_that_azure_documents_for_it(
    cloud: Cloud, rows: list[Row], tmp_path: Path
) -> None:
    """The same images and labels, whichever is read."""
    opened(cloud, tmp_path / "importer", "v1")[0].datasets.create("caps", rows, task=TASK)
    for name in ("caps", "caps-train", "caps-test"):
        (asset,) = [asset for asset in cloud.data["v1"] if asset.name == name]
        folder = asset.path.rpartition("/")[0]
        assert asset.path == f"{folder}/tabular.jsonl"
        both = []
        for file in ("tabular.jsonl", "data.jsonl"):
            (tmp_path / file).write_bytes(cloud.files()[f"{folder}/{file}"])
            both.append(read_rows(tmp_path / file))
        older, newer = both
        assert all(row.image_url.startswith("AmlDatastore://workspaceblobstore/cva/images/") for row in older)
        assert all(row.image_url.startswith(LONG) for row in newer)
        assert [datastore_path(row.image_url) for row in older] == [datastore_path(row.image_url) for row in newer]
        assert [row.boxes for row in older] == [row.boxes for row in newer] and older


def test_an_image_that_was_changed_in_the_container_is_refused(cloud: Cloud, caps: Dataset, tmp_path: Path) -> None:
    for path in cloud.files():
        if path.startswith("cva/images/"):
            cloud.files()[path] = b"another picture"
    with pytest.raises(IntegrityError, match="no longer the image"):
        opened(cloud, tmp_path / "step")[0].datasets.split(caps)


def test_images_of_a_datastore_stay_there_when_asked(cloud: Cloud, caps: Dataset, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "again")
    there = [row for row in workspace.datasets.rows(workspace.datasets.get("caps")) if row.boxes[0].label == "cap"]
    service.calls.clear()
    dataset = workspace.datasets.create("only_caps", there, task=TASK, reference=True)
    assert [row.image_url for row in workspace.datasets.rows(dataset)] == [row.image_url for row in there]
    assert service.calls.count("blobs.upload") == 18
    with pytest.raises(UsageError, match="without --reference"):
        workspace.datasets.create("new", pictures(tmp_path / "others", 10, first=40), task=TASK, reference=True)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("caps.2026", "no '.'"),
        ("c" * 95, "at most 94"),  # caps-train must fit, too
        ("caps-train", "parts"),
        ("../caps", "letters"),
    ],
)
def test_a_name_that_azure_refuses_is_refused_before_the_first_call(
    cloud: Cloud, rows: list[Row], tmp_path: Path, name: str, says: str
) -> None:
    workspace, service = opened(cloud, tmp_path / "importer")
    with pytest.raises(UsageError, match=says):
        workspace.datasets.create(name, rows, task=TASK)
    assert service.calls == []


def test_a_part_is_not_taken_for_a_whole(cloud: Cloud, caps: Dataset, tmp_path: Path) -> None:
    workspace, _ = opened(cloud, tmp_path / "step")
    with pytest.raises(NotFoundError, match="part of caps:1"):
        workspace.datasets.get("caps-train")
    assert [dataset.reference for dataset in workspace.datasets.list()] == ["caps:1"]
    assert workspace.datasets.list()[0].images == 20


def test_two_imports_of_one_name_here_do_not_mix(cloud: Cloud, rows: list[Row], tmp_path: Path) -> None:
    workspace, _ = opened(cloud, tmp_path / "importer")
    with ThreadPoolExecutor(1) as other, exclusive(workspace.cache.incoming, "caps"):
        with pytest.raises(ConflictError, match="being imported"):
            other.submit(workspace.datasets.create, "caps", rows, task=TASK).result()
        assert other.submit(workspace.datasets.create, "cups", rows, task=TASK).result().version == 1
