"""Datastores, clusters, data sets and models with the real azure-ai-ml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model_training.workspaces.azureml.service import Asset, Container
from scoring.errors import IntegrityError, NotFoundError
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

STORE = "workspaceblobstore"


def bundle(folder: Path, text: str = "model") -> Path:
    """A folder with files at two levels."""
    (folder / "golden").mkdir(parents=True)
    (folder / "model.onnx").write_text(text)
    (folder / "golden" / "expected.json").write_text("{}")
    return folder


def files(folder: Path) -> dict[str, str]:
    return {str(f.relative_to(folder)): f.read_text() for f in folder.rglob("*") if f.is_file()}


def test_the_workspace_is_named_as_it_was_opened(azure: FakeAzure, v2: Remote) -> None:
    assert (v2.generation, v2.place.workspace_name) == ("v2", azure.state.workspace)
    assert v2.default_datastore() == STORE


def test_a_datastore_is_added_without_any_key(azure: FakeAzure, v2: Remote) -> None:
    added = Container("edgevisionstorage", "cvaedge", "captures")
    v2.add_datastore(added)
    assert added in v2.datastores()
    assert [store.name for store in v2.datastores()] == [STORE, "workspaceartifactstore", "edgevisionstorage"]
    azure.state.add_container("cvaedge", "captures")
    v2.blobs("edgevisionstorage").write(b"picture", "line-1/0001.jpg")
    assert list(v2.blobs("edgevisionstorage").list()) == ["line-1/0001.jpg"]
    assert not azure.requests.find("POST", "listSecrets|listKeys")


def test_a_datastore_says_whether_keys_are_kept_with_it(azure: FakeAzure, v2: Remote) -> None:
    azure.state.datastores["workspaceartifactstore"].credentials = "AccountKey"
    assert {store.name: store.holds_keys for store in v2.datastores()} == {STORE: False, "workspaceartifactstore": True}


def test_an_unknown_datastore_is_not_found(v2: Remote) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        v2.blobs("nowhere")


def test_clusters_say_size_nodes_and_idle_time(v2: Remote) -> None:
    found = {cluster.name: cluster for cluster in v2.clusters()}
    assert set(found) == {"gpu-cluster", "cpu-cluster"}
    gpu = found["gpu-cluster"]
    assert (gpu.size, gpu.min_nodes, gpu.max_nodes, gpu.idle_seconds) == ("STANDARD_NC4AS_T4_V3", 0, 2, 600)
    assert (gpu.state, gpu.location) == ("Succeeded", "westeurope")


def test_a_data_set_gets_the_next_version_and_is_found_by_name(azure: FakeAzure, v2: Remote) -> None:
    made = [
        v2.register_asset("caps", datastore=STORE, path=f"cva/caps/{n}", tags={"n": str(n)}, description="caps")
        for n in (1, 2, 3)
    ]
    assert [asset.version for asset in made] == [1, 2, 3]
    found = sorted(v2.assets("caps"), key=lambda asset: int(asset.version))
    assert found == made
    first = found[0]
    assert (first.datastore, first.path, first.kind) == (STORE, "cva/caps/1", "mltable")
    assert (first.tags, first.description) == ({"n": "1"}, "caps")
    assert first.created_at.endswith("Z")
    assert azure.state.data["caps"][1].path == "cva/caps/1/"


def test_a_version_that_was_taken_meanwhile_is_left_to_its_owner(azure: FakeAzure, v2: Remote) -> None:
    azure.fail_next("PUT", "/data/caps/versions/1", 409)
    assert v2.register_asset("caps", datastore=STORE, path="cva/caps/a", tags={}).version == 2
    assert list(azure.state.data["caps"]) == [2]


def test_a_lost_answer_makes_no_second_version(azure: FakeAzure, v2: Remote) -> None:
    azure.fail_next("PUT", "/data/caps/versions/1", "drop-answer")
    assert v2.register_asset("caps", datastore=STORE, path="cva/caps/a", tags={}).version == 1
    assert list(azure.state.data["caps"]) == [1]


def test_a_data_set_of_the_older_registry_is_found_when_it_is_asked_for(azure: FakeAzure, v2: Remote) -> None:
    from tests.fake_azure.state import DataRecord

    labels = "labels/20260501/labels.jsonl"
    azure.state.datasets["labelled"] = {n: DataRecord("labelled", n, "tabular", STORE, labels) for n in (1, 2)}
    azure.state.datasets["photos"] = {1: DataRecord("photos", 1, "file", STORE, "photos/**")}
    v2.register_asset("caps", datastore=STORE, path="cva/caps/1", tags={})
    assert v2.assets("labelled") == []
    found = v2.assets("labelled", everywhere=True)
    assert [(asset.version, asset.kind, asset.datastore, asset.path) for asset in found] == [
        (1, "tabular", STORE, labels),
        (2, "tabular", STORE, labels),
    ]
    assert sorted(asset.name for asset in v2.assets(everywhere=True)) == ["caps", "labelled"]
    assert [asset.name for asset in v2.assets()] == ["caps"]


def test_a_data_set_in_both_registries_is_the_newer_one(azure: FakeAzure, v2: Remote) -> None:
    from tests.fake_azure.state import DataRecord

    azure.state.datasets["caps"] = {4: DataRecord("caps", 4, "tabular", STORE, "old.jsonl")}
    v2.register_asset("caps", datastore=STORE, path="cva/caps/1", tags={})
    found: list[Asset] = v2.assets("caps", everywhere=True)
    assert [(asset.version, asset.kind) for asset in found] == [(1, "mltable")]


def test_nothing_is_found_of_a_name_that_nobody_has(v2: Remote) -> None:
    assert v2.assets("nothing", everywhere=True) == []
    assert v2.models("nothing") == []


def test_a_registered_model_comes_back_as_it_was(azure: FakeAzure, v2: Remote, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle")
    made = v2.register_model(
        "Caps", folder, tags={"Precision": "0.9"}, properties={"run": "r1"}, description="finds caps"
    )
    assert (made.version, made.tags, made.properties) == (1, {"Precision": "0.9"}, {"run": "r1"})
    assert v2.models("Caps") == [made]
    v2.download_model("Caps", 1, tmp_path / "back")
    assert files(tmp_path / "back") == files(folder)
    azure.assert_clean()


def test_models_are_listed_by_name_and_over_all(v2: Remote, tmp_path: Path) -> None:
    for name in ("Caps", "Lids", "Bottles"):
        v2.register_model(name, bundle(tmp_path / name, name), tags={}, properties={})
    second = v2.register_model("Caps", bundle(tmp_path / "again", "better"), tags={}, properties={})
    assert second.version == 2
    assert sorted((model.name, model.version) for model in v2.models()) == [
        ("Bottles", 1),
        ("Caps", 1),
        ("Caps", 2),
        ("Lids", 1),
    ]
    v2.download_model("Caps", 2, tmp_path / "back")
    assert files(tmp_path / "back")["model.onnx"] == "better"


def test_the_same_folder_twice_is_two_versions(v2: Remote, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle")
    versions = [v2.register_model("Caps", folder, tags={}, properties={"run": r}).version for r in ("r1", "r2")]
    assert versions == [1, 2]
    assert sorted(model.properties["run"] for model in v2.models("Caps")) == ["r1", "r2"]


def test_tags_are_added_and_changed_and_the_rest_stays(v2: Remote, tmp_path: Path) -> None:
    v2.register_model("Caps", bundle(tmp_path / "b"), tags={"a": "1", "b": "2"}, properties={"run": "r"})
    v2.tag_model("Caps", 1, {"b": "3", "champion_since": "2026-05-01T10:00:00Z"})
    (model,) = v2.models("Caps")
    assert model.tags == {"a": "1", "b": "3", "champion_since": "2026-05-01T10:00:00Z"}
    assert model.properties == {"run": "r"}
    with pytest.raises(NotFoundError, match="Caps"):
        v2.tag_model("Caps", 9, {"b": "3"})


def test_a_path_that_leads_out_of_the_folder_is_refused(azure: FakeAzure, v2: Remote, tmp_path: Path) -> None:
    v2.register_model("Caps", bundle(tmp_path / "b"), tags={}, properties={})
    record = azure.state.models["Caps"][1]
    azure.blobs.put(record.container, f"{record.path.rstrip('/')}/..%2F..%2Fevil".replace("%2F", "/"), b"x")
    with pytest.raises(IntegrityError, match=r"\.\."):
        v2.download_model("Caps", 1, tmp_path / "back")
    assert not (tmp_path / "evil").exists()


def test_a_model_without_files_is_said_to_be_so(azure: FakeAzure, v2: Remote, tmp_path: Path) -> None:
    v2.register_model("Caps", bundle(tmp_path / "b"), tags={}, properties={})
    azure.state.models["Caps"][1].path = "LocalUpload/gone"
    with pytest.raises(NotFoundError, match="no files"):
        v2.download_model("Caps", 1, tmp_path / "back")
