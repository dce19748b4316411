"""The three kinds of registry keep one contract; which of them a text means."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scoring.edge.registries import open_registry
from scoring.edge.registry import LocalRegistry, Registry
from scoring.edge.static import StaticRegistry
from scoring.edge.web import WebFolder
from scoring.errors import UsageError
from tests.contracts.registry_contract import RegistryContract
from tests.scoring.edge.webserver import serve


class TestLocal(RegistryContract):
    @pytest.fixture
    def registry(self, shelf: Any) -> Registry:
        return open_registry(str(shelf.workspace))

    @pytest.fixture
    def away(self, shelf: Any) -> Callable[[], None]:
        return lambda: shelf.models.rename(shelf.workspace / "gone") and None


class TestFolder(RegistryContract):
    @pytest.fixture
    def registry(self, shelf: Any) -> Registry:
        return open_registry(f"file://{shelf.models}")

    @pytest.fixture
    def away(self, shelf: Any) -> Callable[[], None]:
        return lambda: shelf.models.rename(shelf.workspace / "gone") and None


class TestHttps(RegistryContract):
    """Over TLS from a real server; `SSL_CERT_FILE` makes its authority trusted, as on a device."""

    @pytest.fixture
    def server(self, shelf: Any, tls: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        monkeypatch.setenv("SSL_CERT_FILE", str(tls[0]))
        with serve(shelf.models, tls[1]) as (url, behaviour):
            yield url, behaviour

    @pytest.fixture
    def registry(self, server: Any) -> Registry:
        return StaticRegistry(WebFolder(server[0], sleep=lambda seconds: None))

    @pytest.fixture
    def away(self, server: Any) -> Callable[[], None]:
        return lambda: server[1].faults.extend([(503, {})] * 100)


def test_a_text_means_a_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVA_WORKSPACE", str(tmp_path / "here"))
    published = tmp_path / "pub lished"
    published.mkdir()
    (published / "registry.json").write_text("{}")
    assert open_registry() == LocalRegistry(tmp_path / "here/models")
    assert open_registry(str(tmp_path / "other")) == LocalRegistry(tmp_path / "other/models")
    assert open_registry(str(published)) == LocalRegistry(published)
    assert open_registry(f"file://{tmp_path}/pub%20lished") == LocalRegistry(published)
    assert open_registry("file:pub lished") == LocalRegistry(published)
    assert open_registry("https://models.example/edge") == StaticRegistry(WebFolder("https://models.example/edge"))
    monkeypatch.setenv("CVA_REGISTRY", "https://models.example")
    assert isinstance(open_registry(), StaticRegistry)


@pytest.mark.parametrize(
    "text",
    [
        "http://models.example/edge",  # in the clear
        "https://user:secret@models.example",
        "https://models.example/edge?sv=1&sig=secret",
        "https://models.example/#secret",
        "https:///edge",
        "https://models.example:port",
        "file://elsewhere/models",
        "azureml://registries/secret",
        "ftp://models.example",
    ],
)
def test_what_is_no_registry_and_repeats_no_secret(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_registry(text)
    assert "secret" not in str(caught.value)
