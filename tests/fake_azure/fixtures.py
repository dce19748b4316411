"""The fixture `azure`: the fake with a fresh state; its server is the session's. Loaded by tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeAzure]:
    from tests.fake_azure.azure import FakeAzure  # the routes and their libraries, only where a test asks for them

    server = FakeAzure(tmp_path_factory.mktemp("azure")).start()
    yield server
    server.stop()


@pytest.fixture
def azure(azure_server: FakeAzure) -> Iterator[FakeAzure]:
    """Fails the test when a handler of the fake failed, or a secret was seen where none may be."""
    from tests.fake_azure.secrecy import check_records

    azure_server.reset()
    yield azure_server
    assert not azure_server.failures, "the fake itself failed:\n" + "\n".join(azure_server.failures)
    check_records(azure_server)
