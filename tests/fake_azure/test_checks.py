"""What is refused before any handler, in the shape that each kind of host gives its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests

from tests.fake_azure.azure import FakeAzure
from tests.fake_azure.messages import Answer, Request
from tests.fake_azure.routes import Router, Routes, load_tables
from tests.fake_azure.tokens import ML, Tokens

ARM = "https://management.azure.com"
ML_HOST = "https://westeurope.api.azureml.ms"
VERSION = {"api-version": "2024-04-01"}
Header = Callable[..., dict[str, str]]


@pytest.fixture
def probe(azure: FakeAzure) -> Iterator[FakeAzure]:
    """With three routes of this test: a data plane's, a narrowed one, and one that fails."""
    mine = Routes("azureml")

    @mine.route("GET", r"/probe/v1\.0{WS}/things/(?P<name>[^/]+)")
    def thing(azure: FakeAzure, request: Request, name: str) -> Answer:
        return {"name": name, "by": request.claims["appid"]}

    @mine.route("POST", r"/probe/jobs", audience=ML)
    def jobs(azure: FakeAzure, request: Request) -> Answer:
        return {"got": request.json()}

    @mine.route("GET", r"/probe/broken")
    def broken(azure: FakeAzure, request: Request) -> Answer:
        raise KeyError("a mistake in a handler")

    before = azure._router
    azure._router = Router([*load_tables(), mine])
    yield azure
    azure._router = before


def test_no_authorization(azure: FakeAzure, http: requests.Session) -> None:
    answer = http.get(f"{ARM}/subscriptions", params=VERSION)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "AuthenticationFailed"
    assert "Bearer" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("scheme", ["Basic abc", "Bearer", "Bearer "])
def test_an_authorization_that_is_no_bearer_token(http: requests.Session, scheme: str) -> None:
    assert http.get(f"{ARM}/subscriptions", params=VERSION, headers={"Authorization": scheme}).status_code == 401


@pytest.mark.parametrize("audience", ["https://storage.azure.com", "https://vault.azure.net", "", f"{ARM}.example.com"])
def test_a_token_for_somebody_else(http: requests.Session, header: Header, audience: str) -> None:
    answer = http.get(f"{ARM}/subscriptions", params=VERSION, headers=header(audience))
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationTokenAudience"


@pytest.mark.parametrize("audience", [ARM, f"{ARM}/", "https://management.core.windows.net/"])
def test_the_audiences_of_resource_manager(http: requests.Session, header: Header, audience: str) -> None:
    assert http.get(f"{ARM}/subscriptions", params=VERSION, headers=header(audience)).status_code == 200


def test_an_expired_token(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    azure.tokens.skew = -7200
    answer = http.get(f"{ARM}/subscriptions", params=VERSION, headers=header())
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "ExpiredAuthenticationToken"


def test_a_token_that_somebody_else_signed(azure: FakeAzure, http: requests.Session) -> None:
    token = Tokens(azure.state.tenant).access(ARM, object_id="o", client_id="c")
    answer = http.get(f"{ARM}/subscriptions", params=VERSION, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (None, "MissingApiVersionParameter"),
        ("", "MissingApiVersionParameter"),
        ("2", "InvalidApiVersionParameter"),
        ("2024-04-02", "InvalidResourceType"),  # never published
    ],
)
def test_api_versions(azure: FakeAzure, http: requests.Session, header: Header, version: str | None, code: str) -> None:
    params = {} if version is None else {"api-version": version}
    answer = http.get(f"{ARM}{azure.state.arm_path}", params=params, headers=header())
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("50b5c419", "60b5c419"), "SubscriptionNotFound"),
        (("cva-rg", "other-rg"), "ResourceGroupNotFound"),
        (("cva-aml", "other-aml"), "ResourceNotFound"),
    ],
)
def test_another_place_is_not_found(
    probe: FakeAzure, http: requests.Session, header: Header, change: tuple[str, str], code: str
) -> None:
    path = probe.state.arm_path.replace(*change)
    answer = http.get(f"{ARM}{path}", params=VERSION, headers=header())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)
    other = http.get(f"{ML_HOST}/probe/v1.0{path}/things/a", headers=header())
    assert other.status_code == 404
    assert other.json()["correlation"]


def test_paths_have_no_case_and_names_come_unquoted(probe: FakeAzure, http: requests.Session, header: Header) -> None:
    path = probe.state.arm_path.replace("resourceGroups", "RESOURCEGROUPS")
    answer = http.get(f"{ML_HOST}/probe/v1.0{path}/things/a%20b%3A1", headers=header())
    assert answer.json() == {"name": "a b:1", "by": probe.state.client_id}
    assert probe.requests[0].claims == {"aud": ARM, "oid": "o", "appid": probe.state.client_id}


def test_a_route_may_narrow_the_audience(probe: FakeAzure, http: requests.Session, header: Header) -> None:
    host = "https://caps.westeurope.inference.ml.azure.com"
    assert http.post(f"{host}/probe/jobs", json={}, headers=header()).status_code == 401
    assert http.post(f"{host}/probe/jobs", json=[1], headers=header(ML[0])).json() == {"got": [1]}
    wrong = http.post(f"{host}/probe/jobs", data=b"{", headers=header(ML[0]))
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "InvalidRequestContent")


def test_a_route_that_nobody_has(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    """Not 404, where SDKs branch: a gap of the fake must be seen."""
    answer = http.get(f"{ARM}/subscriptions/x/y/z", params=VERSION, headers=header())
    assert answer.status_code == 501
    assert azure.unknown == [f"GET {ARM}/subscriptions/x/y/z"]
    assert http.delete(f"{ARM}/subscriptions", params=VERSION, headers=header()).status_code == 501
    with pytest.raises(AssertionError, match="no route"):
        azure.assert_clean()


def test_a_mistake_in_a_handler_reaches_the_test(probe: FakeAzure, http: requests.Session, header: Header) -> None:
    assert http.get(f"{ML_HOST}/probe/broken", headers=header()).status_code == 500
    assert "a mistake in a handler" in probe.failures[0]
    with pytest.raises(AssertionError, match="the fake itself failed"):
        probe.assert_clean()
    probe.failures.clear()


def test_two_routes_for_one_request_are_a_mistake() -> None:
    table = Routes("arm")
    table.route("GET", r"/a")(lambda azure, request: None)
    table.route("GET|POST", r"/[a-z]")(lambda azure, request: None)
    router = Router([table])
    with pytest.raises(AssertionError, match="2 routes for GET /a"):
        router.find("arm", "GET", "/a")
    assert router.find("arm", "POST", "/a") is not None
    assert router.find("login", "GET", "/a") is None


def test_every_table_is_loaded_once() -> None:
    tables = list(load_tables())
    assert len({id(table) for table in tables}) == len(tables)
    assert {"arm", "login", "loopback", "devops"} <= {table.kind for table in tables}
