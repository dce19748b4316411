"""The proxy: Azure's names and no others, real TLS, a log without secrets."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import requests

from tests.fake_azure.azure import FakeAzure
from tests.fake_azure.hosts import kind_of

ARM = "https://management.azure.com"
DISCOVERY = "https://login.microsoftonline.com/common/discovery/instance"
Header = Callable[..., dict[str, str]]


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/",
        "https://management.azure.com.example.com/",  # ends otherwise
        "https://xmanagement.azure.com/",  # begins otherwise
        "https://dc.services.visualstudio.com/v2/track",  # telemetry
        "https://nosuchaccount.blob.core.windows.net/c/b",  # an account that nobody has
        "https://management.azure.com:8443/",  # another port
    ],
)
def test_every_other_host_is_refused_and_remembered(azure: FakeAzure, http: requests.Session, address: str) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        http.get(address)
    assert azure.refused == [urlsplit(address).hostname]
    with pytest.raises(AssertionError, match="refused hosts"):
        azure.assert_clean()


def test_plain_http_is_refused_too(azure: FakeAzure, http: requests.Session) -> None:
    assert http.get("http://example.com/").status_code == 403
    assert azure.refused == ["example.com"]


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("management.azure.com", "arm"),
        ("MANAGEMENT.azure.com.", "arm"),  # names have no case, and may end with the root's dot
        ("login.microsoftonline.com", "login"),
        ("westeurope.api.azureml.ms", "azureml"),
        ("caps.westeurope.inference.ml.azure.com", "azureml"),
        ("dev.azure.com", "devops"),
        ("vstoken.dev.azure.com", "devops"),
        ("graph.microsoft.com", "graph"),
        ("cvastorage.blob.core.windows.net", "blob"),
        ("a.b.blob.core.windows.net", None),
        ("azureml.ms.example.com", None),
    ],
)
def test_which_kind_a_host_is(host: str, kind: str | None) -> None:
    assert kind_of(host) == kind


def test_a_client_that_does_not_trust_the_authority_gets_nowhere(azure: FakeAzure, http: requests.Session) -> None:
    http.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        http.get(DISCOVERY)
    assert len(azure.requests) == 0


def test_certificates_are_made_by_server_name(azure: FakeAzure) -> None:
    """A client that names another host than it was told about is refused by its own check."""
    address = urlsplit(azure.address)
    context = ssl.create_default_context(cafile=str(azure.authority.bundle))

    def tunnel(host: str) -> socket.socket:
        plain = socket.create_connection((address.hostname, address.port or 0), timeout=10)
        plain.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert b" 200 " in plain.recv(4096)
        return plain

    for host in ("management.azure.com", "westeurope.api.azureml.ms"):
        with context.wrap_socket(tunnel(host), server_hostname=host) as secure:
            names = dict(secure.getpeercert() or {})["subjectAltName"]
        assert names == (("DNS", host),)
    nameless = ssl.create_default_context(cafile=str(azure.authority.bundle))
    nameless.check_hostname = False
    with pytest.raises(ssl.SSLError), nameless.wrap_socket(tunnel(host)):
        pass


def test_the_log_is_written_before_handling_and_holds_no_secret(
    azure: FakeAzure, http: requests.Session, header: Header
) -> None:
    azure.fail_next("GET", "/subscriptions", "drop")
    secret = header()["Authorization"].removeprefix("Bearer ")
    with pytest.raises(requests.exceptions.ConnectionError):
        http.get(f"{ARM}/subscriptions?api-version=2022-12-01", headers={"Authorization": f"Bearer {secret}"})
    form = {"client_assertion": secret, "grant_type": "client_credentials", "client_secret": "hush"}
    http.post(f"https://login.microsoftonline.com/{azure.state.tenant}/oauth2/v2.0/token", data=form)
    http.get(
        f"{ARM}/x?sig=hush&api-version=1", json={"inner": [{"password": "hush", "address": "https://x/?sig=hush"}]}
    )
    http.get(f"{azure.address}/msi/token", headers={"secret": "hush"})

    dropped, login, other, identity = azure.requests
    assert (dropped.fault, dropped.status, login.status, other.status, identity.status) == ("drop", 0, 400, 501, 401)
    assert login.body["grant_type"] == "client_credentials"
    kept = azure.requests.file.read_text() + repr([vars(call) for call in azure.requests])
    assert "hush" not in kept
    assert secret not in kept
    lines = [json.loads(line) for line in azure.requests.file.read_text().splitlines()]
    assert [line["path"] for line in lines[-4:]] == [call.path for call in azure.requests]


def test_calls_are_found_by_method_path_and_host(azure: FakeAzure, http: requests.Session) -> None:
    http.get(DISCOVERY)
    http.get(f"{ARM}/subscriptions")
    assert [call.host for call in azure.requests.find("GET", "/SUBSCRIPTIONS$")] == ["management.azure.com"]
    assert len(azure.requests.find(host="login")) == 1
    assert not azure.requests.find("POST")


def test_reset_forgets_everything_but_the_server(azure: FakeAzure, http: requests.Session) -> None:
    address, workspace, home = azure.address, azure.state.workspace_id, azure.home
    http.get(f"{ARM}/nothing?api-version=2022-12-01")
    azure.fail_next("GET", "x", 500)
    azure.reset()
    azure.assert_clean()
    assert len(azure.requests) == 0
    assert azure.address == address
    assert azure.state.workspace_id != workspace
    assert azure.home != home


def test_bodies_in_chunks_are_read_whole(azure: FakeAzure, http: requests.Session) -> None:
    def pieces() -> list[bytes]:
        return [b'{"a": ', b"1}"]

    http.post(f"{ARM}/x", data=iter(pieces()), headers={"Content-Type": "application/json"})
    assert azure.requests[0].body == {"a": 1}
    assert azure.requests[0].size == 8
