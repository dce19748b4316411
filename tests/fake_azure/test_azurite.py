"""Blob hosts: real storage behind them, the caller's own token, signatures with scopes, and no account keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.fake_azure.azure import FakeAzure
from tests.fake_azure.azurite import NODE_FOLDER

STORAGE = "https://storage.azure.com"
VERSION = {"x-ms-version": "2021-08-06", "x-ms-date": "Sat, 28 Nov 2026 12:00:00 GMT"}
BLOCK = {**VERSION, "x-ms-blob-type": "BlockBlob"}
Header = Callable[..., dict[str, str]]


@pytest.fixture
def folder(azure: FakeAzure) -> str:
    """The address of the default container."""
    return f"https://{azure.state.account}.blob.core.windows.net/{azure.state.default_container}"


def test_a_token_reads_and_writes_under_production_names(
    azure: FakeAzure, http: requests.Session, header: Header, folder: str
) -> None:
    mine = header(STORAGE)
    assert http.put(f"{folder}/a/ü%20b.txt", data=b"bytes", headers={**mine, **BLOCK}).status_code == 201
    assert http.get(f"{folder}/a/ü%20b.txt", headers={**mine, **VERSION}).content == b"bytes"
    assert azure.blobs.get(azure.state.default_container, "a/ü b.txt") == b"bytes"
    azure.blobs.put(azure.state.default_container, "a/c.txt", b"of the service")
    assert http.get(f"{folder}/a/c.txt", headers={**mine, **VERSION}).content == b"of the service"
    assert azure.blobs.list(azure.state.default_container, "a/") == ["a/c.txt", "a/ü b.txt"]
    length = http.head(f"{folder}/a/c.txt", headers={**mine, **VERSION}).headers["Content-Length"]
    assert length == "14"
    azure.blobs.delete(azure.state.default_container, "a/c.txt")
    assert http.get(f"{folder}/a/c.txt", headers={**mine, **VERSION}).status_code == 404


def test_who_is_refused(azure: FakeAzure, http: requests.Session, header: Header, folder: str) -> None:
    azure.blobs.put(azure.state.default_container, "x", b"x")
    address = f"{folder}/x"

    def status(headers: dict[str, str]) -> int:
        return http.get(address, headers={**VERSION, **headers}).status_code

    assert status(header(STORAGE)) == 200
    assert status(header(f"https://{azure.state.account}.blob.core.windows.net")) == 200
    assert status({}) == 401
    assert status(header("https://management.azure.com")) == 401
    assert status({"Authorization": f"SharedKey {azure.state.account}:abc="}) == 403
    azure.tokens.skew = -7200
    assert status(header(STORAGE)) == 401
    azure.tokens.skew = 0
    other = f"https://{azure.state.account}.blob.core.windows.net/no-such-container/x"
    assert http.get(other, headers={**VERSION, **header(STORAGE)}).status_code == 404


def test_errors_are_storages_own(http: requests.Session, folder: str) -> None:
    answer = http.get(f"{folder}/x", headers=VERSION)
    assert answer.headers["x-ms-error-code"] == "NoAuthenticationInformation"
    assert "<Code>NoAuthenticationInformation</Code>" in answer.text


def test_a_signature_counts_for_its_blob_its_permissions_and_its_time(
    azure: FakeAzure, http: requests.Session, folder: str
) -> None:
    container = azure.state.default_container
    azure.blobs.put(container, "x", b"x")
    azure.blobs.put(container, "y", b"y")
    read = azure.blobs.sas_url(container, "x")
    assert http.get(read).content == b"x"
    assert http.get(read.replace("/x?", "/y?")).status_code == 403
    assert http.put(read, data=b"z", headers=BLOCK).status_code == 403
    assert http.get(azure.blobs.sas_url(container, "x", minutes=-1)).status_code == 403
    write = azure.blobs.sas_url(container, "new/z", permissions="cw")
    assert http.put(write, data=b"z", headers=BLOCK).status_code == 201
    assert azure.blobs.get(container, "new/z") == b"z"
    whole = azure.blobs.sas_url(container, permissions="rl")
    assert http.get(f"{whole}&restype=container&comp=list").status_code == 200


def test_every_test_has_containers_of_its_own(azure: FakeAzure) -> None:
    azure.blobs.put(azure.state.default_container, "x", b"x")
    first = azure.state.default_container
    azure.reset()
    assert azure.state.default_container != first
    assert azure.blobs.list(azure.state.default_container) == []


def test_blob_calls_are_logged_without_their_bytes(
    azure: FakeAzure, http: requests.Session, header: Header, folder: str
) -> None:
    http.put(f"{folder}/x", data=b"picture", headers={**header(STORAGE), **BLOCK})
    http.get(azure.blobs.sas_url(azure.state.default_container, "x"))
    put, get = azure.requests
    assert (put.method, put.status, put.size, put.body) == ("PUT", 201, 7, None)
    assert (get.status, get.query["sig"]) == (200, "<hidden>")
    assert put.claims["aud"] == STORAGE


def test_faults_of_storage(azure: FakeAzure, http: requests.Session, header: Header, folder: str) -> None:
    mine = {**header(STORAGE), **BLOCK}
    azure.fail_next("PUT", "/x", 503, headers={"Retry-After": "1"})
    busy = http.put(f"{folder}/x", data=b"x", headers=mine)
    assert (busy.status_code, busy.headers["x-ms-error-code"]) == (503, "ServerBusy")
    azure.fail_next("PUT", "/x", "drop")
    with pytest.raises(requests.exceptions.ConnectionError):
        http.put(f"{folder}/x", data=b"0123456789", headers=mine)
    assert azure.blobs.list(azure.state.default_container) == []  # nothing of the half
    azure.fail_next("PUT", "/x", "drop-answer")
    with pytest.raises(requests.exceptions.ConnectionError):
        http.put(f"{folder}/x", data=b"0123456789", headers=mine)
    assert azure.blobs.get(azure.state.default_container, "x") == b"0123456789"


def test_versions_of_npm_packages_are_exact() -> None:
    import json

    wanted = json.loads(Path(NODE_FOLDER, "package.json").read_text())["dependencies"]
    assert wanted
    for name, version in wanted.items():
        assert version.replace(".", "").isdigit(), f"{name} {version}"
        installed = json.loads((NODE_FOLDER / "node_modules" / name / "package.json").read_text())["version"]
        assert installed == version
