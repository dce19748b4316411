"""The documents of the interface against the application that they describe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

from scoring.server.app import ROUTERS
from scoring.server.context import Context
from scoring.server.settings import ServeSettings
from tests.scoring.server.running import Running

Serve = Callable[..., Running]
KEY = b"a-key-of-this-test-0"
PRIVATE = ("/page/",)  # the page's own files are no interface


@pytest.fixture
def context() -> Iterator[Context]:
    made = Context.of(ServeSettings(workers=1))
    yield made
    made.service.close()


def operations(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, found in document["paths"].items() for method in found}


def test_every_route_is_documented_and_nothing_else_is(context: Context, server: Running) -> None:
    served = {
        (route.path, method)
        for router in ROUTERS
        for route in router(context).routes
        if isinstance(route, APIRoute) and not route.path.startswith(PRIVATE)
        for method in route.methods - {"HEAD"}  # answered as GET is, without the body
    }
    assert operations(server.get("/openapi.json").json) == served


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (each for key, each in value.items() if key == "$ref")
        yield from (found for each in value.values() for found in references(each))
    elif isinstance(value, list):
        yield from (found for each in value for found in references(each))


@pytest.mark.parametrize("path", ["/openapi.json", "/swagger.json", "/swagger.json?version=3"])
def test_every_reference_leads_somewhere(path: str, server: Running) -> None:
    document = server.get(path).json
    for reference in references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert target


def test_operations_have_names_of_their_own_and_a_500(server: Running) -> None:
    document = server.get("/openapi.json").json
    found = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names)
    assert all("500" in operation["responses"] for operation in found)


def test_with_keys_the_document_says_what_needs_one(serve: Serve) -> None:
    without, document = serve().get("/openapi.json").json, serve(keys=(KEY,)).get("/openapi.json").json
    assert "securitySchemes" not in without["components"]
    assert set(document["components"]["securitySchemes"]) == {"ApiKey", "SubscriptionKey", "Bearer"}
    locked = {path for path, found in document["paths"].items() for each in found.values() if "security" in each}
    assert {"/score", "/skill", "/metadata", "/metrics", "/image", "/invocations"} <= locked
    assert not {"/", "/health/live", "/health/ready", "/api/healthcheck", "/openapi.json"} & locked
    for path, found in document["paths"].items():
        for operation in found.values():
            assert ("401" in operation["responses"]) is (path in locked)


def test_what_is_documented_as_open_is_open_and_the_rest_is_not(serve: Serve) -> None:
    server = serve(keys=(KEY,))
    document = server.get("/openapi.json").json
    for path, found in document["paths"].items():
        for method, operation in found.items():
            status = server.ask(method.upper(), re.sub(r"{\w+}", "x", path)).status
            assert (status == 401) is ("security" in operation), path


def test_swagger_is_the_short_document_of_score(server: Running) -> None:
    document = server.get("/swagger.json").json
    assert document["swagger"] == "2.0"
    assert operations(document) == {("/", "GET"), ("/score", "POST"), ("/swagger.json", "GET")}
    assert document["paths"]["/score"]["post"]["operationId"] == "RunMLService"
    assert server.get("/swagger.json?version=3").body == server.get("/openapi.json").body
    assert server.get("/swagger.json?version=4").status == 404


def test_the_documents_name_no_model(serve: Serve) -> None:
    """They are open to all, so they tell nobody what is served."""
    server = serve(keys=(KEY,))
    for path in ("/openapi.json", "/swagger.json"):
        assert b"Caps" not in server.get(path).body and b"red-cap" not in server.get(path).body
