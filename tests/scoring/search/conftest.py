"""A search service on this machine, and the arguments that set it up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scoring.search import fake_service


@pytest.fixture
def service() -> Iterator[fake_service.FakeService]:
    with fake_service.running() as running:
        yield running
