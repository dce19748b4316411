"""Each route of v2 is guarded: no token, another audience, an unknown version, a wrong body; and what PUT promises."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fake_azure import published_types
from tests.fake_azure.azure import FakeAzure
from tests.fake_azure.routes import WS, Route, Routes, load_tables
from tests.fake_azure.state import EndpointRecord, RunRecord, VersionRecord
from tests.fake_azure.tokens import ML
from tests.fake_azure.v2 import bodies
from tests.fake_azure.v2.history import experiment_id
from tests.fake_azure.v2.wire import own

HOSTS = {"arm": "https://management.azure.com", "azureml": "https://westeurope.api.azureml.ms"}
VERSION = {"api-version": "2024-04-01"}
Header = Callable[..., dict[str, str]]


def v2_tables() -> list[Routes]:
    return [table for table in load_tables() if table.routes and ".v2." in table.routes[0].handler.__module__]


ROUTES = [route for table in v2_tables() for route in table.routes]
PUTS = [route for route in ROUTES if route.method == "PUT"]


def label(route: Route) -> str:
    return f"{route.method} {route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}"


def address(azure: FakeAzure, route: Route) -> str:
    """One that the route answers, with names that nothing has."""
    path = route.pattern.pattern.replace(WS, azure.state.arm_path)
    path = re.sub(r"\(\?P<kind>(\w+)[^)]*\)", r"\1", path)
    path = re.sub(r"\(\?P<\w+>[^()]*\)", "unheard-of", path).replace("\\", "")
    assert route.pattern.fullmatch(path), path
    host = "https://unheard-of.westeurope.inference.ml.azure.com" if path == "/jobs" else HOSTS[route.kind]
    return host + path


@pytest.mark.parametrize("route", ROUTES, ids=label)
def test_nobody_comes_in_without_a_token_for_this_service(
    azure: FakeAzure, http: requests.Session, header: Header, route: Route
) -> None:
    url = address(azure, route)
    assert http.request(route.method, url, params=VERSION, json={}).status_code == 401
    other = header("https://vault.azure.net")
    assert http.request(route.method, url, params=VERSION, json={}, headers=other).status_code == 401


@pytest.mark.parametrize("route", [route for route in ROUTES if route.kind == "arm"], ids=label)
def test_an_unknown_version_is_refused(azure: FakeAzure, http: requests.Session, header: Header, route: Route) -> None:
    for params in ({}, {"api-version": "2019-13-01"}, {"api-version": "newest"}):
        answer = http.request(route.method, address(azure, route), params=params, json={}, headers=header())
        assert answer.status_code == 400, params


@pytest.mark.parametrize("route", PUTS, ids=label)
def test_a_body_that_is_none_or_another_is_refused(
    azure: FakeAzure, http: requests.Session, header: Header, route: Route
) -> None:
    url = address(azure, route)
    for body in ({}, {"properties": {"unheardOf": 1}}, {"properties": 3}):
        answer = http.put(url, params=VERSION, json=body, headers=header())
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UserError"), body
    assert http.put(url, params=VERSION, data=b"{", headers=header()).status_code == 400


# POSTs whose body no published type describes -------------------------------------------------------------------------

# a list of everything, and what answers the same whatever it is asked
OPEN = {"POST mlflow.search_experiments", "POST mlflow.search", "POST stores.secrets"}
OPAQUE = {"POST online.score"}  # the deployed script's own matter: tests/workspaces/azureml/test_online.py
OTHERS = [route for route in ROUTES if route.method not in ("GET", "PUT") and label(route) not in OPAQUE]
WRONG = (b"{", b'"text"', b"null", b'{"unheardOf": 1}', b'[{"unheardOf": 1}]')
WRONG_OF: dict[str, tuple[Any, ...]] = {
    "POST batch.invoke": (
        {"properties": 3},
        {"properties": {}, "more": 1},
        {"properties": {"unheardOf": 1}},
        {"properties": {"inputData": []}},
        {"properties": {"inputData": {"x": "caps"}}},
        {"properties": {"inputData": {"x": {"jobInputType": "literal", "value": "caps"}}}},
        {"properties": {"inputData": {"x": {"jobInputType": "Literal", "value": 3}}}},
        {"properties": {"inputData": {"x": {"jobInputType": "Literal", "value": "a", "mood": "b"}}}},
        {"properties": {"inputData": {"y": {"jobInputType": "Literal", "value": "unknown to the deployment"}}}},
        {"properties": {"inputData": {}}},  # x is missing
    ),
    "POST mlflow.create": (
        {"experiment_id": "EXPERIMENT"},
        {"start_time": 1},
        {"experiment_id": "EXPERIMENT", "start_time": "soon"},
        {"experiment_id": 3, "start_time": 1},
        {"experiment_id": "EXPERIMENT", "start_time": 1, "tags": {"kind": "import"}},
        {"experiment_id": "EXPERIMENT", "start_time": 1, "tags": [{"key": "kind", "value": 3}]},
    ),
    "POST mlflow.create_experiment": ({"name": ""}, {"name": 3}, {"name": "unheard-of"}),
    "POST mlflow.update": (
        {"run_id": "unheard-of"},
        {"run_id": "unheard-of", "status": "DONE"},
        {"run_id": "unheard-of", "status": "FINISHED", "end_time": "now"},
        {"status": "FINISHED"},
    ),
    "POST mlflow.log_batch": (
        {"tags": []},
        {"run_id": "unheard-of", "tags": {"a": "b"}},
        {"run_id": "unheard-of", "tags": [{"key": "a", "value": "b" * 5001}]},
        {"run_id": "unheard-of", "metrics": [{"key": "mAP", "value": "high", "timestamp": 1, "step": 0}]},
    ),
    "POST mlflow.search": ({"experiment_ids": "EXPERIMENT"}, {"max_results": "many"}, {"filter": ["a"]}),
    "POST online.logs": ({"containerType": "Shelf", "tail": 50}, {"containerType": "InferenceServer", "tail": "all"}),
    "POST code.pending_upload": (
        {"pendingUploadType": "None"},
        {"pendingUploadType": "TemporaryBlobReference", "x": 1},
    ),
}


def fill(azure: FakeAzure) -> None:
    """What the addresses name is there: only the body can be what is refused."""
    state, name = azure.state, "unheard-of"
    state.runs[name] = RunRecord(name, name, kind="automl", extra={"outcome": None, "looks": 0})
    node = {"computeId": "/computes/cpu-cluster", "componentId": "c"}
    version = VersionRecord("v1", 1, parameters={"x": ""}, extra={"spec": {"jobs": {"step": node}}})
    state.endpoints[name] = EndpointRecord(name, "v2", default=1, versions={1: version})
    own(state, "online")[name] = {"body": {"properties": {"traffic": {}}}, "deployments": {name: {"properties": {}}}}


@pytest.mark.parametrize("route", OTHERS, ids=label)
def test_another_body_is_refused(azure: FakeAzure, http: requests.Session, header: Header, route: Route) -> None:
    fill(azure)
    audience = ML[0] if route.audience == ML else "https://management.azure.com"
    headers, known = {**header(audience), "Content-Type": "application/json"}, experiment_id(azure.state, "unheard-of")
    wrong = [json.dumps(each).replace("EXPERIMENT", known).encode() for each in WRONG_OF.get(label(route), ())]
    for body in (*WRONG, *(() if label(route) in OPEN else (b"{}",)), *wrong):
        answer = http.request(route.method, address(azure, route), params=VERSION, data=body, headers=headers)
        assert answer.status_code == 400, (body, answer.status_code, answer.text[:200])
    assert not azure.failures and list(azure.state.runs) == ["unheard-of"], "nothing was started"


def test_the_right_bodies_are_taken(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    """Or all of them might be refused for the same reason."""
    fill(azure)
    known = experiment_id(azure.state, "unheard-of")
    right: dict[str, Any] = {
        "POST batch.invoke": {"properties": {"inputData": {"x": {"jobInputType": "Literal", "value": "caps"}}}},
        "POST mlflow.create": {"experiment_id": known, "start_time": 1, "tags": [{"key": "kind", "value": "import"}]},
        "POST mlflow.create_experiment": {"name": "another"},
        "POST mlflow.search_experiments": {"max_results": 1000},
        "POST mlflow.search": {"experiment_ids": [known], "filter": "", "max_results": 100},
        "POST mlflow.log_batch": {"run_id": "unheard-of", "tags": [{"key": "a", "value": "b"}]},
        "POST code.pending_upload": {"pendingUploadType": "TemporaryBlobReference"},
        "POST jobs.cancel": None,
        "POST mlflow.update": {"run_id": "unheard-of", "status": "FINISHED", "end_time": 2},
        "DELETE batch.delete_deployment": None,
        "POST online.logs": {"containerType": "InferenceServer", "tail": 50},
        "DELETE online.delete_deployment": None,
        "DELETE online.delete_endpoint": None,
    }
    routes = {label(route): route for route in OTHERS}
    assert right.keys() == routes.keys() - {"POST stores.secrets"}
    azure.state.endpoints["unheard-of"].versions[2] = VersionRecord("unheard-of", 2)
    for name, body in right.items():
        route = routes[name]
        headers = header(ML[0] if route.audience == ML else "https://management.azure.com")
        answer = http.request(route.method, address(azure, route), params=VERSION, json=body, headers=headers)
        assert answer.status_code < 300, (name, answer.text)


def test_a_batch_jobs_fields_are_those_that_the_sdk_writes() -> None:
    """Read as text: its import costs seconds."""
    schema = Path(importlib.util.find_spec("azure.ai").submodule_search_locations[0])  # type: ignore[union-attr,index]
    text = (schema / "ml" / "_schema" / "_deployment" / "batch" / "batch_job.py").read_text(encoding="utf-8")
    written = set(re.findall(r'wire\["(\w+)"\] =', text.rpartition("def make(")[2]))
    assert set(bodies.BATCH_JOB) | {"_output_dataset"} == written | {"outputDataset"}
    assert set(re.findall(r'AssetTypes\.\w+: "(\w+)"', text)) == set(bodies.KINDS)


def test_what_is_not_there_is_404(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    named = re.compile(r"\[\^/\]\+\)(/versions|/deployments|/children)?$")  # the path ends with a thing's name
    looked_up = [r for r in ROUTES if r.method == "GET" and named.search(r.pattern.pattern)]
    assert len(looked_up) > 10
    for route in looked_up:
        if label(route) == "GET code.codes":
            continue  # a list that may be empty
        answer = http.get(address(azure, route), params=VERSION, headers=header())
        assert answer.status_code == 404, label(route)


# what a PUT promises --------------------------------------------------------------------------------------------------


def put(http: requests.Session, header: Header, azure: FakeAzure, path: str, properties: Any) -> requests.Response:
    url = f"{HOSTS['arm']}{azure.state.arm_path}/{path}"
    return http.put(url, params=VERSION, json={"properties": properties}, headers=header())


def test_a_body_is_held_to_the_version_that_is_asked_for(
    azure: FakeAzure, http: requests.Session, header: Header
) -> None:
    """`datasets` of a model are newer than 2025-06-01, the oldest that lies here."""
    url = f"{HOSTS['arm']}{azure.state.arm_path}/models/Caps/versions/1"
    place = {"modelUri": "azureml://datastores/workspaceblobstore/paths/a", "datasets": []}
    newest = {} if published_types.stands_in() else {"2026-05-01": 201}
    for version, status in {**newest, "2025-06-01": 400, "2024-04-01": 400}.items():
        answer = http.put(url, params={"api-version": version}, json={"properties": place}, headers=header())
        assert answer.status_code == status, answer.text
    assert "unknown property 'datasets'" in answer.text


def test_the_same_again_is_200_and_another_is_409(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    def model(place: str) -> dict[str, Any]:
        return {"modelUri": f"azureml://datastores/workspaceblobstore/paths/{place}", "modelType": "custom_model"}

    answers = [put(http, header, azure, "models/Caps/versions/1", model(place)) for place in ("a", "a", "b")]
    assert [answer.status_code for answer in answers] == [201, 200, 409]
    assert azure.state.models["Caps"][1].path == "a"
    elsewhere = {"modelUri": "azureml://datastores/nowhere/paths/a"}
    assert put(http, header, azure, "models/Caps/versions/2", elsewhere).status_code == 400


def test_a_datastore_with_a_key_is_refused(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    key = {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "eA=="}}
    properties = {"datastoreType": "AzureBlob", "accountName": "a", "containerName": "c", "credentials": key}
    assert put(http, header, azure, "datastores/x", properties).status_code == 403
    assert "x" not in azure.state.datastores


def test_a_list_comes_in_pages(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    for name in "abc":
        place = {"dataType": "mltable", "dataUri": f"azureml://datastores/workspaceblobstore/paths/{name}"}
        assert put(http, header, azure, f"data/{name}/versions/1", place).status_code == 201
    url = f"{HOSTS['arm']}{azure.state.arm_path}/data"
    first = http.get(url, params=VERSION, headers=header()).json()
    second = http.get(first["nextLink"], headers=header()).json()
    assert [item["name"] for item in first["value"] + second["value"]] == ["a", "b", "c"]
    assert "nextLink" not in second


def test_a_job_for_a_cluster_that_is_not_there_is_refused(
    azure: FakeAzure, http: requests.Session, header: Header
) -> None:
    data = {"jobInputType": "mltable", "uri": "azureml:caps:1"}
    task = {"taskType": "ImageObjectDetection", "trainingData": data, "limitSettings": {"timeout": "PT1H"}}
    job = {"jobType": "AutoML", "computeId": "/x/computes/none", "taskDetails": {**task, "targetColumnName": "label"}}
    answer = put(http, header, azure, "jobs/j1", job)
    assert (answer.status_code, "caps" in answer.json()["error"]["message"]) == (400, True)
    assert not azure.state.runs
