"""Each route of v1 is guarded: no token, another audience, a body that no client of the service sends."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import requests

from tests.fake_azure.azure import FakeAzure
from tests.fake_azure.routes import WS, Route, load_tables

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


def address(azure: FakeAzure, route: Route) -> str:
    """One that the route answers, with names that nothing has."""
    path = route.pattern.pattern.replace(WS, azure.state.arm_path)
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


# the address of an experiment makes it; that call has no body
WRITES = [r for r in ROUTES if r.method in ("POST", "PUT", "PATCH") and label(r) != "POST history.experiment"]


@pytest.mark.parametrize("route", WRITES, ids=label)
def test_a_body_that_no_client_sends_is_refused(
    azure: FakeAzure, http: requests.Session, header: Header, route: Route
) -> None:
    url = address(azure, route)
    for body in (b"{", b'"text"', b'{"UnheardOf": 1, "unheardOf": 1}'):
        answer = http.request(route.method, url, data=body, headers={**header(), "Content-Type": "application/json"})
        assert answer.status_code in (400, 404), (body, answer.status_code, answer.text[:200])
    assert not azure.failures
