"""Containers of an Azure ML workspace: named, browsed, their files in the cache and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_training.workspaces.azureml.cache import Cache
from model_training.workspaces.azureml.naming import container_of
from model_training.workspaces.azureml.workspace import AzureWorkspace
from model_training.workspaces.patterns import literal_folder, matches
from scoring.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from tests.workspaces.azureml.azure_parts import opened
from tests.workspaces.azureml.memory import DEFAULT, Cloud

URL = "https://edgestorage.blob.core.windows.net/captures"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud()
    cloud.files().update({"a/1.png": b"1", "a/b/2.png": b"2", "a/b": b"file and folder", "a/.hidden/3.png": b"3"})
    return cloud


@pytest.fixture
def workspace(cloud: Cloud, tmp_path: Path) -> AzureWorkspace:
    return opened(cloud, tmp_path / "here")[0]


def test_naming_a_container_again_is_no_error_and_another_one_is(cloud: Cloud, workspace: AzureWorkspace) -> None:
    assert workspace.datastores.add("captures", URL) == workspace.datastores.add("captures", URL + "/")
    with pytest.raises(ConflictError, match="is https://edgestorage"):
        workspace.datastores.add("captures", URL.replace("edge", "other"))
    assert [store.name for store in workspace.datastores.list()] == ["captures", DEFAULT]
    with pytest.raises(NotFoundError, match=DEFAULT):
        workspace.datastores.get("other")


@pytest.mark.parametrize(
    "root",
    [
        "/mnt/captures",
        URL + "?sv=2024&sig=c2VjcmV0",
        "https://user:c2VjcmV0@edgestorage.blob.core.windows.net/captures",
        URL.replace("https", "http"),
        URL + "/folder",
        URL.replace("captures", "Captures"),
        "https://edgestorage.blob.core.windows.net.evil.example/captures",
        "wasbs://captures@edgestorage.blob.core.windows.net",
    ],
)
def test_only_the_plain_address_of_a_container_is_taken(root: str) -> None:
    with pytest.raises(UsageError) as caught:
        container_of("captures", root)
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize("name", ["with-hyphen", "", "a.b", "a/b"])
def test_a_datastores_name_keeps_to_azures_rule(cloud: Cloud, tmp_path: Path, name: str) -> None:
    workspace, service = opened(cloud, tmp_path / "x")
    with pytest.raises(UsageError, match="letters, digits or '_'"):
        workspace.datastores.add(name, URL)
    assert service.calls == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.png", ["a/1.png", "a/b/2.png"]),
        ("a/*", ["a/1.png", "a/b"]),
        ("a/b/*.png", ["a/b/2.png"]),
        ("x/**", []),
    ],
)
def test_browsing(workspace: AzureWorkspace, pattern: str, found: list[str]) -> None:
    assert workspace.datastores.browse(DEFAULT, pattern) == found


def test_a_blob_is_fetched_once(cloud: Cloud, tmp_path: Path) -> None:
    workspace, service = opened(cloud, tmp_path / "x")
    first = workspace.datastores.file(DEFAULT, "a/b/2.png")
    assert first == workspace.datastores.file(DEFAULT, "a/b/2.png")
    assert first.read_bytes() == b"2"
    assert workspace.datastores.file(DEFAULT, "a/b").read_bytes() == b"file and folder"  # both at once
    assert service.calls.count("blobs.download") == 2
    with pytest.raises(NotFoundError, match=r"4\.png"):
        workspace.datastores.file(DEFAULT, "a/4.png")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "", "a\0"])
def test_a_path_that_leads_out_is_refused(workspace: AzureWorkspace, path: str) -> None:
    with pytest.raises(IntegrityError, match="leads out"):
        workspace.datastores.file(DEFAULT, path)


@given(st.text(min_size=1, max_size=400))
def test_no_path_in_a_container_leaves_the_cache(path: str) -> None:
    """Whatever a blob is called, its place is a short plain name below the cache, and another one's is another."""
    cache = Cache(Path("/cache"))
    try:
        place = cache.blob(DEFAULT, path)
    except UnicodeEncodeError:  # half a character: no blob is called so
        return
    parts = place.relative_to("/cache/blobs").parts
    assert len(parts) == 3 and ".." not in parts and len(parts[2]) <= 48
    assert cache.blob(DEFAULT, path + "x") != place


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "a\\b"])
def test_a_strange_name_makes_no_folder(name: str) -> None:
    cache = Cache(Path("/cache"))
    for place in (cache.run, lambda name: cache.model(name, 1), lambda name: cache.dataset(name, 1)):
        with pytest.raises(IntegrityError, match="plain name"):
            place(name)


@given(
    st.lists(st.sampled_from("ab*?"), min_size=1, max_size=4), st.lists(st.sampled_from("ab"), min_size=1, max_size=4)
)
def test_every_match_lies_in_the_folder_that_is_listed(pattern: list[str], path: list[str]) -> None:
    if matches("/".join(path), "/".join(pattern)):
        assert "/".join(path).startswith(literal_folder("/".join(pattern)))
