"""Data sets that somebody else registered: a labelling project's export, a tabular data set; used as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from model_training.data.jsonl import read_rows, resolve_image
from model_training.data.mltable import write_mltable
from model_training.data.rows import Row
from model_training.data.split import SplitOptions
from model_training.workspaces.azureml.service import Asset, Container
from model_training.workspaces.azureml.workspace import AzureWorkspace
from model_training.workspaces.base import Event, Split
from model_training.workspaces.local import LocalWorkspace
from scoring.errors import DataError, IntegrityError, NotFoundError, OfflineError
from scoring.files import sha256_of
from tests.contracts.workspace_contract import TASK, pictures
from tests.workspaces.azureml.azure_parts import opened, put
from tests.workspaces.azureml.memory import Cloud
from tests.workspaces.azureml.test_datasets import LONG, cut_off

TABLE = "paths: [{file: ./labels.jsonl}]\ntransformations: [{read_json_lines: {encoding: utf8}}]\n"


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    return pictures(tmp_path / "pictures", 20)


@pytest.fixture
def cloud(rows: list[Row], tmp_path: Path) -> Cloud:
    """Captured pictures in a container of their own."""
    cloud = Cloud()
    cloud.stores["captures"] = Container("captures", "edgestorage", "captures")
    put(cloud, tmp_path / "pictures", "line-1", "captures")
    return cloud


def export(cloud: Cloud, count: int, *, start: str = "AmlDatastore://captures/line-1/", version: int = 1) -> Asset:
    """What a labelling project exports: MLTable and rows whose images lie where they were captured."""
    folder = f"Labeling/caps/{version}"
    cloud.files()[f"{folder}/labels.jsonl"] = lines(count, start)
    cloud.files()[f"{folder}/MLTable"] = TABLE.encode()
    asset = Asset("caps", version, "workspaceblobstore", folder, created_at="2026-05-01T00:00:00Z")
    cloud.data["v2"].append(asset)
    return asset


def lines(count: int, start: str) -> bytes:
    """The size is that of the picture before it was turned upright, as the studio writes it."""
    box = {"topX": 0.25, "topY": 0.25, "bottomX": 0.75, "bottomY": 0.75, "isCrowd": "false"}
    rows = (
        {
            "image_url": f"{start}{n:03}.png",
            "image_details": {"format": "png", "width": "32px", "height": "48px"},
            "label": [{"label": "cap" if n % 2 else "no_cap", **box}],
        }
        for n in range(count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parts(workspace: AzureWorkspace, reference: str) -> tuple[Split, dict[str, str]]:
    split = workspace.datasets.split(workspace.datasets.get(reference))
    paths = {"train": split.train, "validation": split.validation, "test": split.test}
    return split, {row.sha256: part for part, path in paths.items() for row in read_rows(path)}


def test_it_is_known_before_an_image_is_looked_at(cloud: Cloud, tmp_path: Path) -> None:
    export(cloud, 20)
    workspace, service = opened(cloud, tmp_path / "here")
    dataset = workspace.datasets.get("caps")
    assert (dataset.reference, dataset.images, dataset.boxes, dataset.task) == ("caps:1", 20, 20, TASK)
    assert dataset.labels == ("cap", "no_cap")
    assert service.calls.count("blobs.download") == 1  # the rows
    found = workspace.datasets.rows(dataset)
    assert [row.image_url for row in found][:1] == [f"{LONG}captures/paths/line-1/000.png"]
    assert workspace.datastores.resolve(found[0].image_url, dataset.path / "data.jsonl").is_file()
    assert [listed.reference for listed in workspace.datasets.list()] == ["caps:1"]


def test_its_first_split_looks_at_every_image_once_and_is_stored(cloud: Cloud, rows: list[Row], tmp_path: Path) -> None:
    export(cloud, 20)
    workspace, service = opened(cloud, tmp_path / "first")
    split, placed = parts(workspace, "caps")
    assert len(placed) == 20 and set(placed.values()) == {"train", "validation", "test"}
    assert split.assets == {"train": "caps-train:1", "validation": "caps-val:1", "test": "caps-test:1"}
    for path in (split.validation, split.test):
        assert all(sha256_of(resolve_image(row, path)) == row.sha256 for row in read_rows(path))
    assert service.calls.count("blobs.download") == 1 + 20 + 7  # rows, images once, the stored version's own files
    assert service.calls.count("blobs.upload") == 20 + 9 + 3 * 3

    other, service = opened(cloud, tmp_path / "second")
    again, same = parts(other, "caps")
    assert (again.sha256, again.assets, same) == (split.sha256, split.assets, placed)
    assert service.calls.count("blobs.download") == 7 + split.counts["validation"] + split.counts["test"]
    assert "register_asset" not in service.calls

    known = other.datasets.get("caps")  # its content is known from now on: what an import of the same would have
    local = LocalWorkspace.open(tmp_path / "local").datasets
    here = local.create("caps", rows, task=TASK)
    assert (known.sha256, again.sha256) == (here.sha256, local.split(here).sha256)


def test_its_images_are_kept_when_the_captures_expire(cloud: Cloud, tmp_path: Path) -> None:
    """A storage account deletes captures after some months; the version's exact bytes stay, for every part."""
    export(cloud, 20)
    before, _ = parts(opened(cloud, tmp_path / "here")[0], "caps")
    cloud.files("captures").clear()
    (train,) = [asset for asset in cloud.data["v2"] if asset.name == "caps-train"]
    urls = [json.loads(line)["image_url"] for line in cloud.files()[f"{train.path}/data.jsonl"].splitlines()]
    assert urls and all(url.startswith(f"{LONG}workspaceblobstore/paths/cva/images/") for url in urls)

    other, _ = opened(cloud, tmp_path / "later")
    dataset = other.datasets.get("caps:1")
    after = other.datasets.split(dataset)
    assert (after.sha256, after.counts) == (before.sha256, before.counts)
    for row in other.datasets.rows(dataset):
        assert sha256_of(other.datastores.resolve(row.image_url, dataset.path / "data.jsonl")) == row.sha256


def test_an_image_of_two_exports_is_kept_once(cloud: Cloud, tmp_path: Path) -> None:
    export(cloud, 12)
    parts(opened(cloud, tmp_path / "first")[0], "caps:1")
    export(cloud, 20, version=2)
    workspace, service = opened(cloud, tmp_path / "second")
    parts(workspace, "caps:2")
    assert len([path for path in cloud.files() if path.startswith("cva/images/")]) == 20
    assert service.calls.count("blobs.upload") == 8 + 9 + 3 * 3  # new images, the version's own files


def test_images_keep_their_part_in_the_next_export(cloud: Cloud, tmp_path: Path) -> None:
    export(cloud, 12)
    _, before = parts(opened(cloud, tmp_path / "first")[0], "caps:1")
    export(cloud, 20, version=2)
    _, after = parts(opened(cloud, tmp_path / "second")[0], "caps")
    assert len(after) == 20
    assert before.items() <= after.items()


def test_a_tabular_data_set_of_the_first_generation_is_read_too(cloud: Cloud, tmp_path: Path) -> None:
    """The service in use is v2: the data set lies in the other registry, its parts in the own one."""
    cloud.files("captures")["labels.jsonl"] = lines(20, "line-1/")  # relative to the file
    cloud.data["v1"].append(Asset("caps", 3, "captures", "labels.jsonl", "tabular"))
    split, placed = parts(opened(cloud, tmp_path / "here")[0], "caps:3")
    assert len(placed) == 20
    assert split.assets["train"] == "caps-train:1"
    assert {asset.name for asset in cloud.data["v2"]} == {"caps-train", "caps-val", "caps-test"}


@pytest.mark.parametrize(
    "paths",
    [
        "[{pattern: ./*.jsonl}]",
        "[{file: labels.jsonl}]",
        f"[{{file: '{LONG}workspaceblobstore/paths/Labeling/caps/1/labels.jsonl'}}]",  # as the SDK saves it
    ],
)
def test_a_table_names_its_rows_in_several_ways(cloud: Cloud, tmp_path: Path, paths: str) -> None:
    asset = export(cloud, 12)
    cloud.files()[f"{asset.path}/MLTable"] = TABLE.replace("[{file: ./labels.jsonl}]", paths).encode()
    assert opened(cloud, tmp_path / "here")[0].datasets.get("caps").images == 12


@pytest.mark.parametrize(
    ("table", "error", "says"),
    [
        (TABLE.replace("read_json_lines: {encoding: utf8}", "read_parquet: {}"), DataError, "read_json_lines"),
        (TABLE.replace("./labels", "./other"), NotFoundError, "other.jsonl"),
        (TABLE.replace("./labels.jsonl", "'https://host/x.jsonl?sig=secret'"), DataError, "no datastore"),
        (TABLE.replace("./labels.jsonl", "../../../../etc/passwd"), IntegrityError, "leads out"),
        ("paths: 3", DataError, "list of files"),
    ],
)
def test_a_table_that_is_no_image_set_says_so(
    cloud: Cloud, tmp_path: Path, table: str, error: type[Exception], says: str
) -> None:
    asset = export(cloud, 12)
    cloud.files()[f"{asset.path}/MLTable"] = table.encode()
    with pytest.raises(error, match=says) as caught:
        opened(cloud, tmp_path / "here")[0].datasets.get("caps")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("start", ["file:///etc/", "https://host/"])
def test_rows_whose_images_are_in_no_datastore_are_listed(cloud: Cloud, tmp_path: Path, start: str) -> None:
    export(cloud, 12, start=start)
    with pytest.raises(DataError, match="12 problems"):
        opened(cloud, tmp_path / "here")[0].datasets.get("caps")


def test_a_missing_image_stops_the_split_and_nothing_is_stored(cloud: Cloud, tmp_path: Path) -> None:
    export(cloud, 21)
    with pytest.raises(NotFoundError, match=r"020\.png"):
        parts(opened(cloud, tmp_path / "here")[0], "caps")
    assert not [path for path in cloud.files() if path.startswith("cva/")]


@pytest.mark.parametrize("call", ["blobs.download", "blobs.upload"])
def test_a_split_that_is_cut_off_goes_on_where_it_was(cloud: Cloud, tmp_path: Path, call: str) -> None:
    export(cloud, 20)
    workspace, service = opened(cloud, tmp_path / "here")
    cut_off(service, call, 10)
    with pytest.raises(OfflineError):
        parts(workspace, "caps")
    service.network = lambda called: None
    service.calls.clear()
    said: list[Event] = []
    workspace.datasets.split(workspace.datasets.get("caps"), said.append)
    images = 20 - (9 if call == "blobs.download" else 20)
    assert service.calls.count("blobs.download") == images + 7
    assert said[0].kind == "stage" and "20 images" in said[0].text


def test_an_imported_version_follows_an_export_of_that_name(cloud: Cloud, rows: Sequence[Row], tmp_path: Path) -> None:
    export(cloud, 12)
    workspace, _ = opened(cloud, tmp_path / "here")
    _, before = parts(workspace, "caps")
    imported = workspace.datasets.create("caps", rows, task=TASK)
    assert imported.version == 2
    _, after = parts(workspace, "caps:2")
    assert before.items() <= after.items()


def test_mltables_of_ours_and_theirs_are_read_alike(tmp_path: Path) -> None:
    from model_training.data.mltable import entries

    write_mltable(tmp_path, "data.jsonl")
    assert entries((tmp_path / "MLTable").read_bytes(), "t") == [("file", "./data.jsonl")]


def test_what_is_asked_of_its_parts_draws_the_split(cloud: Cloud, tmp_path: Path) -> None:
    export(cloud, 20)
    workspace, _ = opened(cloud, tmp_path / "here")
    dataset = workspace.datasets.get("caps")
    assert workspace.datasets.check(dataset, image_size=640).problems == []
    counted = workspace.datasets.classes_by_part(dataset)
    assert sum(counted["cap"].values()) == sum(counted["no_cap"].values()) == 10
    assert workspace.datasets.split_options(dataset).seed == 1


def test_another_split_is_another_version(cloud: Cloud, tmp_path: Path) -> None:
    export(cloud, 20)
    workspace, _ = opened(cloud, tmp_path / "here")
    before, _ = parts(workspace, "caps")
    again = workspace.datasets.resplit("caps", SplitOptions(seed=7))
    assert (again.reference, again.images) == ("caps:2", 20)
    after = workspace.datasets.split(again)
    assert after.seed == 7 and after.sha256 != before.sha256
    assert after.assets["train"] == "caps-train:2"


def test_parts_of_a_split_that_is_no_more_are_not_taken(cloud: Cloud, tmp_path: Path) -> None:
    """Somebody cleared the storage, labels came in meanwhile: the new split gets parts of its own."""
    asset = export(cloud, 12)
    before, _ = parts(opened(cloud, tmp_path / "first")[0], "caps")
    for path in [path for path in cloud.files() if path.startswith("cva/splits/")]:
        del cloud.files()[path]
    cloud.files()[f"{asset.path}/labels.jsonl"] = lines(20, "AmlDatastore://captures/line-1/")
    after, placed = parts(opened(cloud, tmp_path / "second")[0], "caps")
    assert (len(placed), before.assets["train"], after.assets["train"]) == (20, "caps-train:1", "caps-train:2")
