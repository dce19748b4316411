"""Each route of v2 is guarded: no token, another audience, an unknown version, a wrong body; and what PUT promises."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.fake_azure import types
from tests.fake_azure.azure import FakeAzure
from tests.fake_azure.routes import WS, Route, Routes, load_tables

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
    if not types.available():
        pytest.skip("the published resource types are not beside the project")
    url = address(azure, route)
    for body in ({}, {"properties": {"unheardOf": 1}}, {"properties": 3}):
        answer = http.put(url, params=VERSION, json=body, headers=header())
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UserError"), body
    assert http.put(url, params=VERSION, data=b"{", headers=header()).status_code == 400


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
