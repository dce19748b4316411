"""Data sets, datastores and clusters with the real azureml-core: both registries, versions, definitions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests
from requests.structures import CaseInsensitiveDict

from model_training.workspaces.azureml.service import Asset, Container
from model_training.workspaces.azureml.v1.definitions import source
from model_training.workspaces.azureml.v1.rest import pause
from scoring.errors import ConflictError, NotFoundError
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

STORE = "workspaceblobstore"


def register(v1: Remote, name: str, number: int = 1, **tags: str) -> Asset:
    asset: Asset = v1.register_asset(
        name, datastore=STORE, path=f"cva/{name}/{number}", tags=tags, description=f"number {number}"
    )
    return asset


def test_a_data_set_is_the_json_lines_of_its_folder_with_images_as_streams(azure: FakeAzure, v1: Remote) -> None:
    asset = register(v1, "caps", sha256="abc")
    assert (asset.name, asset.version, asset.kind) == ("caps", 1, "tabular")
    assert (asset.datastore, asset.path) == (STORE, "cva/caps/1/tabular.jsonl")
    (call,) = azure.requests.find("POST", r"/datasets$")
    definition = json.loads(call.body["latest"]["dataflow"])["meta"]["RsDataflow"]
    assert "read_json_lines" in definition and "include_path_column: false" in definition
    assert "image_url" in definition and "stream_info" in definition
    azure.assert_clean()
    assert not azure.requests.find(host="blob.core"), "nothing is read"


def test_each_version_keeps_its_own_tags(v1: Remote) -> None:
    """The registry keeps one set of tags for all versions of a name."""
    first, second = register(v1, "caps", 1, sha256="a"), register(v1, "caps", 2, sha256="b")
    assert (first.version, second.version) == (1, 2)
    found = v1.assets("caps")
    assert [(each.version, each.tags, each.path) for each in found] == [
        (1, {"sha256": "a"}, "cva/caps/1/tabular.jsonl"),
        (2, {"sha256": "b"}, "cva/caps/2/tabular.jsonl"),
    ]


def test_every_name_is_listed_over_pages(v1: Remote) -> None:
    for name in ("a", "b", "c"):
        register(v1, name)
    assert [each.name for each in v1.assets()] == ["a", "b", "c"]


def test_what_only_the_other_registry_has_is_found_when_asked_for(azure: FakeAzure, v1: Remote) -> None:
    from tests.fake_azure.state import DataRecord

    register(v1, "both")
    for name in ("both", "labelled"):
        azure.state.data[name] = {n: DataRecord(name, n, "mltable", STORE, f"exports/{name}/{n}") for n in (1, 2, 3)}
    azure.state.data["folder"] = {1: DataRecord("folder", 1, "uri_folder", STORE, "somewhere")}
    assert v1.assets("labelled") == []
    found = v1.assets("labelled", everywhere=True)
    assert [(each.version, each.path, each.kind) for each in found] == [
        (n, f"exports/labelled/{n}", "mltable") for n in (1, 2, 3)
    ]
    everything = v1.assets(everywhere=True)
    assert {(each.name, each.kind) for each in everything} == {("both", "tabular"), ("labelled", "mltable")}
    assert v1.assets("nothing", everywhere=True) == []


def test_the_other_registry_is_asked_again_while_it_is_busy(azure: FakeAzure, v1: Remote) -> None:
    from tests.fake_azure.state import DataRecord

    azure.state.data["labelled"] = {1: DataRecord("labelled", 1, "mltable", STORE, "exports/labelled")}
    for fault in (429, 503):
        azure.fail_next("GET", "azure.com.*/data/", fault, headers={"Retry-After": "0"})
    azure.fail_next("GET", "azure.com.*/data/", "drop")
    assert [each.version for each in v1.assets("labelled", everywhere=True)] == [1]
    azure.assert_clean()


@pytest.mark.parametrize(
    ("status", "headers", "attempt", "seconds"),
    [
        (429, {"Retry-After": "17"}, 1, 17.0),
        (503, {"Retry-After": "3600"}, 1, None),  # longer than anybody would wait for a look
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1, 1.0),
        (500, {}, 2, 2.0),
        (None, {}, 3, 4.0),  # a connection that broke
        (400, {}, 1, None),
        (403, {"Retry-After": "1"}, 1, None),
        (404, {}, 1, None),
    ],
)
def test_how_long_until_it_is_tried_again(
    status: int | None, headers: dict[str, str], attempt: int, seconds: float | None
) -> None:
    response = requests.Response()
    response.status_code, response.headers = status or 0, CaseInsensitiveDict(headers)
    assert pause(None if status is None else response, attempt) == seconds


def test_the_export_of_a_labelling_project_is_found_by_the_file_that_it_reads(azure: FakeAzure, v1: Remote) -> None:
    """Its definition is in the older tongue, which this SDK itself no longer writes."""
    from tests.fake_azure.state import DataRecord

    name = "cap_detection_20211229_162832"
    azure.state.datasets[name] = {1: DataRecord(name, 1, "tabular", STORE, f"Labeling/datacol/{name}.jsonl")}
    (found,) = v1.assets(name)
    assert (found.datastore, found.path) == (STORE, f"Labeling/datacol/{name}.jsonl")


@pytest.mark.parametrize(
    ("dataflow", "expected"),
    [
        # the newer tongue, with a blank and an umlaut encoded
        (
            json.dumps({"meta": {"RsDataflow": "paths:\n- file: azureml://subscriptions/s/resourcegroups/r/workspaces/w"
                        "/datastores/d/paths/a%20b/%C3%BC.jsonl\n"}, "blocks": []}),
            ("d", "a b/ü.jsonl"),
        ),
        # the YAML alone
        ("paths:\n- pattern: azureml://datastores/d/paths/x/*.jsonl\n", ("d", "x/*.jsonl")),
        # the older address
        ("paths:\n- file: AmlDatastore://d/x.jsonl\n", ("d", "x.jsonl")),
        # the older tongue
        (
            json.dumps({"blocks": [{"arguments": {"datastores": [{"datastoreName": "d", "path": "/x.jsonl"}]}}]}),
            ("d", "x.jsonl"),
        ),
        # a query, a web address, nothing, rubbish: no file of a datastore
        (json.dumps({"meta": {"RsDataflow": "query_source: {query: select}\n"}}), ("", "")),
        ("paths:\n- file: https://example.org/x.jsonl\n", ("", "")),
        ("", ("", "")),
        ("paths: [", ("", "")),
        ("[1]", ("", "")),
    ],
)  # fmt: skip
def test_the_file_of_a_definition(dataflow: str, expected: tuple[str, str]) -> None:
    assert source(dataflow) == expected


def test_a_datastore_says_whether_keys_are_kept_with_it(azure: FakeAzure, v1: Remote) -> None:
    azure.state.datastores[STORE].credentials = "None"
    found = {store.name: store.holds_keys for store in v1.datastores()}
    assert found == {STORE: False, "workspaceartifactstore": True}


def test_datastores_are_containers_by_identity(azure: FakeAzure, v1: Remote) -> None:
    assert v1.default_datastore() == STORE
    edge = Container("edge", "cvaedge", "captures")
    v1.add_datastore(edge)
    assert edge in v1.datastores()
    (call,) = azure.requests.find("POST", "/datastores")
    section = call.body["azureStorageSection"]
    assert section["credentialType"] == "None"
    assert not {"credential", "accountKey", "sasToken"} & set(section)
    v1.add_datastore(edge)  # the same again changes nothing
    assert len(azure.requests.find("POST", "/datastores")) == 1
    with pytest.raises(ConflictError, match="captures"):
        v1.add_datastore(Container("edge", "cvaedge", "others"))


def test_a_datastores_blobs_are_reached(azure: FakeAzure, v1: Remote) -> None:
    azure.blobs.put(azure.state.default_container, "a/b.txt", b"said")
    blobs = v1.blobs(STORE)
    assert list(blobs.list("a/")) == ["a/b.txt"]
    assert blobs.read("a/b.txt", limit=10) == b"said"
    with pytest.raises(NotFoundError, match="nowhere"):
        v1.blobs("nowhere")


def test_clusters_have_their_size_and_limits(v1: Remote) -> None:
    found = {each.name: each for each in v1.clusters()}
    assert set(found) == {"gpu-cluster", "cpu-cluster"}
    gpu = found["gpu-cluster"]
    assert (gpu.size, gpu.min_nodes, gpu.max_nodes, gpu.idle_seconds) == ("STANDARD_NC4AS_T4_V3", 0, 2, 600)
    assert (gpu.state, gpu.location) == ("Succeeded", "westeurope")
