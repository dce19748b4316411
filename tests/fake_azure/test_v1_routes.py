"""Each route of v1 is guarded: no token, another audience, a body that no client of the service sends."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import requests

from tests.fake_azure.azure import FakeAzure
from tests.fake_azure.routes import WS, Route, load_tables
from tests.fake_azure.state import EndpointRecord, ModelRecord, RunRecord
from tests.fake_azure.v1 import models, stores, wire

HOSTS = {"arm": "https://management.azure.com", "azureml": "https://westeurope.api.azureml.ms"}
UUID = "00000000-0000-4000-8000-000000000000"
Header = Callable[..., dict[str, str]]
ROUTES = [
    route
    for table in load_tables()
    for route in table.routes
    if ".v1." in route.handler.__module__ and route.audience is not None
]


def label(route: Route) -> str:
    return f"{route.method} {route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}"


def version_of(route: Route) -> dict[str, str]:
    """Most services of v1 have their version in the path."""
    if route.handler.__module__ == models.__name__:
        return {"api-version": models.API_VERSION}
    return {"api-version": stores.API_VERSION} if route.handler in (stores.compute, stores.computes) else {}


def address(azure: FakeAzure, route: Route) -> str:
    """One that the route answers."""
    path = route.pattern.pattern.replace(WS, azure.state.arm_path)
    path = path.replace(r"/models/(?P<id>[^/]+)", "/models/caps:1")
    path = re.sub(r"\(\?P<\w+>\[0-9a-f-\]\{36\}\)", UUID, path)
    path = re.sub(r"\(/\(\?P<version>[^()]*\)\)\?|\([^()?]*\)\?", "", path)  # what may be left out
    path = re.sub(r"\(\?P<\w+>(\w+)\|\w+\)", r"\1", path)  # one of two words
    path = re.sub(r"\(\?P<\w+>[^()]*\)", "unheard-of", path)
    path = path.replace("(s|ids)", "s").replace("\\", "")
    assert route.pattern.fullmatch(path), path
    return HOSTS[route.kind] + path


@pytest.mark.parametrize("route", ROUTES, ids=label)
def test_nobody_comes_in_without_a_token_for_this_service(
    azure: FakeAzure, http: requests.Session, header: Header, route: Route
) -> None:
    url = address(azure, route)
    assert http.request(route.method, url, json={}).status_code == 401
    other = header("https://vault.azure.net")
    assert http.request(route.method, url, json={}, headers=other).status_code == 401
    azure.tokens.lifetime = -60
    assert http.request(route.method, url, json={}, headers=header()).status_code == 401, "expired"


# a query may have no condition, a change of a run may change nothing
OPEN = {"POST history.query_experiments", "POST history.query_runs", "PATCH history.change_run"}
OPEN |= {"POST history.metric_names"}
# what a client calls without a body: the address says it all
BODILESS = {"POST history.experiment", "POST jasmine.cancel", "POST jasmine.fail", "DELETE endpoints.cancel"}
WRITES = [route for route in ROUTES if route.method != "GET"]
WRONG = (b"{", b'"text"', b"null", b'{"UnheardOf": 1}', b'[{"UnheardOf": 1}]')


def fill(azure: FakeAzure) -> None:
    """What the addresses name is there: only the body can be what is refused."""
    state = azure.state
    for id in (UUID, "unheard-of"):
        state.runs[id] = RunRecord(id, "unheard-of")
    state.endpoints["caps"] = EndpointRecord("caps", "v1", id=UUID)
    state.models["caps"] = {1: ModelRecord("caps", 1, state.artifact_container, "model")}
    wire.own(state, "unstarted")["unheard-of"] = None


@pytest.mark.parametrize("route", WRITES, ids=label)
def test_a_body_that_no_client_sends_is_refused(
    azure: FakeAzure, http: requests.Session, header: Header, route: Route
) -> None:
    fill(azure)
    url, headers = address(azure, route), {**header(), "Content-Type": "application/json"}
    for body in (*WRONG, *(() if label(route) in OPEN else (b"{}",))):
        answer = http.request(route.method, url, params=version_of(route), data=body, headers=headers)
        assert answer.status_code == 400, (body, answer.status_code, answer.text[:200])
        assert answer.json()["error"]["code"] in ("UserError", "InvalidRequestContent")
    assert not azure.failures
    right = {"data": b"{}"} if label(route) in OPEN else {}
    if label(route) in OPEN | BODILESS:
        assert http.request(route.method, url, params=version_of(route), headers=headers, **right).status_code == 200


@pytest.mark.parametrize("route", [route for route in ROUTES if version_of(route)], ids=label)
def test_an_unknown_version_is_refused(azure: FakeAzure, http: requests.Session, header: Header, route: Route) -> None:
    fill(azure)
    none = [] if route.handler.__module__ == models.__name__ else [{}]
    for params in ({"api-version": "2019-13-01"}, {"api-version": "2024-04-01"}, *none):
        answer = http.request(route.method, address(azure, route), params=params, json={}, headers=header())
        assert (answer.status_code, "api-version: expected" in answer.text) == (400, True)


GOOD = {"name": "caps", "dataStoreType": "AzureBlob", "azureStorageSection": {"accountName": "a", "containerName": "c"}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nmae": "caps"}, "body: DataStore has no 'nmae'"),
        ({"name": 7}, "body.name: expected str, found 7"),
        ({"name": None}, "body: DataStore needs 'name'"),
        ({"hasBeenValidated": "yes"}, "body.hasBeenValidated: expected bool"),
        ({"dataStoreType": "Shelf"}, "body.dataStoreType: expected one of"),
        ({"tags": ["a"]}, "body.tags: expected {str}"),
        ({"tags": {"a": 1}}, "body.tags[a]: expected str, found 1"),
        ({"azureStorageSection": "x"}, "body.azureStorageSection: expected AzureStorage,"),
        ({"azureStorageSection": {"account": "a"}}, "body.azureStorageSection: AzureStorage has no 'account'"),
    ],
)
def test_a_seeded_fault_is_found_at_its_place(change: dict[str, object], said: str) -> None:
    assert wire.problems(wire.REST, "DataStore", GOOD) == []
    (found,) = wire.problems(wire.REST, "DataStore", {**GOOD, **change})
    assert found.startswith(said)
