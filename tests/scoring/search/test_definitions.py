"""The four definitions against the service's published shapes and rules, and every argument that it would refuse."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.errors import UsageError
from scoring.search.definitions import KINDS, Definition, Plan, definitions, duration
from scoring.search.skill import MAX_RECORDS, OUTPUTS
from tests.scoring.search.fake_rules import BLOB_FIELDS, fields_of, refusals, seconds

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/vision"
STORAGE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/pics"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reader"
REQUIRED = {"name": "caps", "storage": STORAGE, "container": "caps", "skill_uri": "https://skill.example/skill"}

PLANS: list[dict[str, Any]] = [
    {},
    {"identity": IDENTITY},
    {"skill_audience": "api://skill"},
    {"skill_audience": "api://skill", "identity": IDENTITY},
    {"per_image": True},
    {"per_page": True, "image_side": 2000, "extensions": ".pdf"},
    {"soft_delete": True, "folder": "line 1/2026"},
    {"every": 5, "batch_size": 1, "parallel": 1, "timeout": 1},
    {"every": 1440, "batch_size": 1000, "parallel": 10, "timeout": 230},
    {"skill_key_header": "Ocp-Apim-Subscription-Key", "skill_key": "k"},
]


def plan(**changes: Any) -> Plan:
    return Plan(**{**REQUIRED, **changes})


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(leaves, value.values()))
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(map(leaves, value))
    else:
        yield str(value)


@pytest.mark.parametrize("changes", PLANS, ids=lambda each: ",".join(each) or "default")
def test_the_service_takes_all_four_in_this_order(changes: dict[str, Any]) -> None:
    there: dict[str, dict[str, Definition]] = {kind: {} for kind in KINDS}
    for kind, definition in definitions(plan(**changes)).items():
        assert refusals(kind, definition["name"], definition, None, there) == []
        there[kind][definition["name"]] = definition
    assert json.loads(json.dumps(there)) == there


@pytest.mark.parametrize("changes", [{}, {"per_image": True}])
def test_every_field_of_the_index_is_filled_by_exactly_one_mapping(changes: dict[str, Any]) -> None:
    made = definitions(plan(**changes))
    mappings = made["indexers"]["fieldMappings"] + made["indexers"]["outputFieldMappings"]
    assert sorted(each["targetFieldName"] for each in mappings) == sorted(fields_of(made["indexes"]))
    from_blobs = {each["sourceFieldName"] for each in made["indexers"]["fieldMappings"]}
    assert from_blobs == set(BLOB_FIELDS)
    [skill] = made["skillsets"]["skills"]
    assert {each["name"] for each in skill["outputs"]} == {*OUTPUTS} - {"tags"}  # tags and amllabel are the same


def test_labels_can_be_searched_filtered_and_counted() -> None:
    label = fields_of(definitions(plan())["indexes"])["amllabel"]
    assert label["type"] == "Collection(Edm.String)"
    assert (label["searchable"], label["filterable"], label["facetable"], label["retrievable"]) == (True,) * 4


def test_the_key_of_a_document_is_its_path_in_base64() -> None:
    made = definitions(plan())
    assert [name for name, each in fields_of(made["indexes"]).items() if each.get("key")] == ["id"]
    [mapping] = [each for each in made["indexers"]["fieldMappings"] if each["targetFieldName"] == "id"]
    assert (mapping["sourceFieldName"], mapping["mappingFunction"]["name"]) == ("metadata_storage_path", "base64Encode")


def test_one_document_is_one_record_or_each_picture_is() -> None:
    [document] = definitions(plan())["skillsets"]["skills"]
    assert (document["context"], document["inputs"]) == (
        "/document",
        [{"name": "pages", "source": "/document/normalized_images/*/data"}],
    )
    [image] = definitions(plan(per_image=True))["skillsets"]["skills"]
    assert (image["context"], image["inputs"]) == (
        "/document/normalized_images/*",
        [{"name": "image", "source": "/document/normalized_images/*"}],
    )
    counts = [fields_of(definitions(plan(per_image=each))["indexes"])["objectCount"] for each in (False, True)]
    assert [(each["type"], each["filterable"], each["sortable"]) for each in counts] == [
        ("Edm.Int32", True, True),
        ("Collection(Edm.Int32)", True, False),  # many counts have no order
    ]


def test_the_pictures_are_read_by_identity_not_by_key() -> None:
    system, user = definitions(plan())["datasources"], definitions(plan(identity=IDENTITY))["datasources"]
    assert system["credentials"]["connectionString"] == f"ResourceId={STORAGE};"
    assert "AccountKey" not in json.dumps([system, user])
    assert (system["identity"], user["identity"]["userAssignedIdentity"]) == (None, IDENTITY)


def test_the_skill_is_called_with_a_key_or_with_a_token_never_both() -> None:
    [key] = definitions(plan(skill_key="k"))["skillsets"]["skills"]
    assert (key["httpHeaders"], key["authResourceId"], key["authIdentity"]) == ({"x-api-key": "k"}, None, None)
    [bearer] = definitions(plan(skill_key="k", skill_key_header="Authorization"))["skillsets"]["skills"]
    assert bearer["httpHeaders"] == {"Authorization": "Bearer k"}
    [token] = definitions(plan(skill_audience="api://skill", identity=IDENTITY))["skillsets"]["skills"]
    assert (token["httpHeaders"], token["authResourceId"]) == ({}, "api://skill")
    assert token["authIdentity"]["userAssignedIdentity"] == IDENTITY


def test_without_a_key_a_placeholder_stands_for_it_and_no_repr_shows_one() -> None:
    assert "<CVA_SKILL_KEY>" in set(leaves(definitions(plan())))
    assert "geheim" not in repr(plan(skill_key="geheim"))


def test_search_waits_longer_than_the_skill_works() -> None:
    from scoring.server.settings import ServeSettings

    [skill] = definitions(plan())["skillsets"]["skills"]
    assert seconds(skill["timeout"]) > ServeSettings().skill_seconds
    assert skill["batchSize"] <= MAX_RECORDS


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"name": "Caps"}, "--name"),
        ({"name": "c"}, "--name"),
        ({"name": "a--b"}, "--name"),
        ({"name": "-ab"}, "--name"),
        ({"name": "ab-"}, "--name"),
        ({"name": "a" * 119}, "--name"),  # the longest of the other three would be too long
        ({"name": "caps\n"}, "--name"),
        ({"storage": "pics"}, "--storage-resource-id"),
        ({"storage": f"{STORAGE};AccountKey=abc"}, "--storage-resource-id"),
        ({"storage": STORAGE.replace("Storage/", "Sql/")}, "--storage-resource-id"),
        ({"container": "Caps"}, "--container"),
        ({"container": "ab"}, "--container"),
        ({"identity": "me"}, "--identity"),
        ({"identity": STORAGE}, "--identity"),
        ({"skill_key_header": "Host"}, "--skill-key-header"),
        ({"skill_key_header": "content-type"}, "--skill-key-header"),
        ({"skill_key_header": "x y"}, "--skill-key-header"),
        ({"extensions": "jpg"}, "--extensions"),
        ({"extensions": ".jpg, .png"}, "--extensions"),
        ({"image_side": 10_001}, "--image-side"),
        ({"batch_size": 0}, "--batch-size"),
        ({"batch_size": 1001}, "--batch-size"),
        ({"parallel": 11}, "--parallel"),
        ({"timeout": 231}, "--timeout"),
        ({"every": 4}, "--every"),
        ({"every": 1441}, "--every"),
        ({"skill_uri": "http://skill.example/skill"}, "--skill-uri"),
        ({"skill_uri": "https://skill.example/skill?code=geheim"}, "--skill-uri"),
        ({"skill_uri": "https://me:geheim@skill.example/skill"}, "--skill-uri"),
        ({"skill_uri": "ftp://skill.example"}, "--skill-uri"),
        ({"skill_uri": "skill"}, "--skill-uri"),
        ({"skill_uri": "https://skill.example:99999/skill"}, "--skill-uri"),
        ({"skill_uri": "https://127.0.0.1.example/skill "}, "--skill-uri"),
        ({"skill_uri": "http://127.0.0.1.example/skill"}, "--skill-uri"),
    ],
)
def test_what_the_service_would_refuse_is_refused_here(changes: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(**changes)
    assert caught.value.message.startswith(option)
    assert caught.value.hint
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8000/skill", "http://localhost/skill", "http://[::1]:1/skill"])
def test_plain_http_is_for_this_machine(uri: str) -> None:
    assert plan(skill_uri=uri).skill_uri == uri


@given(st.integers(1, 40 * 86400))
def test_a_duration_is_written_as_the_service_writes_it(value: int) -> None:
    text = duration(value)
    assert seconds(text) == value
    assert not any(f"{unit}60" in text or text.endswith("T") for unit in "HM")


def test_durations() -> None:
    examples = {0: "PT0S", 30: "PT30S", 60: "PT1M", 90: "PT1M30S", 3600: "PT1H", 86400: "P1D", 90061: "P1DT1H1M1S"}
    assert {value: duration(value) for value in examples} == examples


def test_the_rules_can_refuse() -> None:
    """The judge of these tests must know a bad definition when it sees one."""
    there: dict[str, dict[str, Definition]] = {kind: {} for kind in KINDS}
    made = definitions(plan())
    assert refusals("indexers", "caps-run", made["indexers"], None, there)[0].startswith("there is no datasources")
    there = {kind: {each["name"]: each} for kind, each in made.items()}
    lost = {**made["indexers"], "outputFieldMappings": [{"sourceFieldName": "/document/tag", "targetFieldName": "tag"}]}
    assert refusals("indexers", "caps-run", lost, None, there) == [
        "no skill makes /document/tag",
        "the index has no field 'tag'",
    ]
    shape = {**made["indexes"], "fields": [{**made["indexes"]["fields"][0], "searchable": "yes", "facet": True}]}
    assert len(refusals("indexes", "caps", shape, None, there)) >= 1
    sortable = json.loads(json.dumps(made["indexes"]).replace('"sortable": false', '"sortable": true'))
    assert "'amllabel' has many values and cannot be sortable" in refusals("indexes", "caps", sortable, None, there)
