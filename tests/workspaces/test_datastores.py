"""Named folders: listed, browsed, resolved, and never left."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from model_training.workspaces.local.datastores import LocalDatastores
from scoring.errors import ConflictError, CvaError, DataError, IntegrityError, NotFoundError, StorageError, UsageError


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    for name in ("a.jpg", "2024/b.jpg", "2024/05/c.png", ".hidden/d.jpg"):
        path = tmp_path / "captures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(path)
    (tmp_path / "captures" / "notes.txt").write_text("words")
    return tmp_path / "captures"


@pytest.fixture
def stores(tmp_path: Path, captures: Path) -> LocalDatastores:
    (tmp_path / "ws").mkdir()
    stores = LocalDatastores(tmp_path / "ws")
    stores.add("edge", str(captures))
    return stores


def test_add_get_and_list(stores: LocalDatastores, captures: Path, tmp_path: Path) -> None:
    assert stores.get("edge").root == str(captures)
    stores.add("edge", str(captures))  # the same again is no error
    stores.add("other", str(tmp_path))
    assert [store.name for store in LocalDatastores(tmp_path / "ws").list()] == ["edge", "other"]
    with pytest.raises(ConflictError):
        stores.add("edge", str(tmp_path))
    with pytest.raises(NotFoundError, match="there are: edge, other"):
        stores.get("none")


@pytest.mark.parametrize(
    ("root", "error"),
    [
        ("/no/such/folder", StorageError),
        ("https://account.blob.core.windows.net/c?sv=2024&sig=SECRET", UsageError),
        ("wasbs://key:SECRET@container", UsageError),
    ],
)
def test_only_folders_are_named_and_credentials_are_neither_kept_nor_said(
    stores: LocalDatastores, tmp_path: Path, root: str, error: type[CvaError]
) -> None:
    with pytest.raises(error) as caught:
        stores.add("blob", root)
    assert "SECRET" not in str(caught.value)
    assert "SECRET" not in (tmp_path / "ws" / "datastores.json").read_text()


def test_a_file_is_no_datastore(stores: LocalDatastores, captures: Path) -> None:
    with pytest.raises(StorageError, match="found a file"):
        stores.add("one", str(captures / "a.jpg"))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*", ["a.jpg", "notes.txt", "2024/b.jpg", "2024/05/c.png"]),
        ("*.jpg", ["a.jpg"]),
        ("**/*.jpg", ["a.jpg", "2024/b.jpg"]),
        ("2024/**/*", ["2024/b.jpg", "2024/05/c.png"]),
        ("2024/*/?.png", ["2024/05/c.png"]),
        ("nothing*", []),
    ],
)
def test_browse(stores: LocalDatastores, pattern: str, found: list[str]) -> None:
    assert stores.browse("edge", pattern) == found
    assert stores.browse("edge", pattern, limit=1) == found[:1]


def test_preview(stores: LocalDatastores, captures: Path) -> None:
    seen = stores.preview("edge", "2024/05/c.png")
    assert (seen["width"], seen["height"], seen["bytes"]) == (8, 6, (captures / "2024/05/c.png").stat().st_size)
    assert stores.preview("edge", "notes.txt")["width"] is None


@pytest.mark.parametrize(
    "url",
    [
        "azureml://subscriptions/S/resourcegroups/R/workspaces/W/datastores/edge/paths/2024/b.jpg",
        "azureml://datastores/edge/paths/2024/b.jpg",
        "AmlDatastore://edge/2024/b.jpg",
    ],
)
def test_every_form_of_url_leads_to_the_file(stores: LocalDatastores, captures: Path, tmp_path: Path, url: str) -> None:
    assert stores.resolve(url, tmp_path / "data.jsonl") == captures / "2024/b.jpg"


def test_relative_paths_start_at_the_rows(stores: LocalDatastores, captures: Path) -> None:
    assert stores.resolve("2024/b.jpg", captures / "data.jsonl") == captures / "2024/b.jpg"


def test_nothing_leads_out(stores: LocalDatastores, captures: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (captures / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    for path in ("../secret.jpg", "2024/../../secret.jpg", str(tmp_path / "secret.jpg"), "link.jpg"):
        with pytest.raises((IntegrityError, DataError)):
            stores.resolve(f"AmlDatastore://edge/{path}", tmp_path / "data.jsonl")
        with pytest.raises(IntegrityError):
            stores.file("edge", path)
    with pytest.raises(NotFoundError, match="cva datastore add"):
        stores.resolve("AmlDatastore://other/a.jpg", tmp_path / "data.jsonl")
