"""Fixtures of the fake's own tests: a plain HTTP client that goes through the proxy and trusts its authority."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.fake_azure.azure import FakeAzure

ARM = "https://management.azure.com"


@pytest.fixture
def http(azure: FakeAzure) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": azure.address, "http": azure.address}
        session.verify = str(azure.authority.bundle)
        yield session


@pytest.fixture
def header(azure: FakeAzure) -> Callable[..., dict[str, str]]:
    """An Authorization header of the service connection for an audience."""

    def make(audience: str = ARM, **more: Any) -> dict[str, str]:
        token = azure.tokens.access(audience, object_id="o", client_id=azure.state.client_id, **more)
        return {"Authorization": f"Bearer {token}"}

    return make
