"""What the service does with its own storage: make containers, put files, hand out signatures. By account key.

Straight to Azurite, past the proxy and its log.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode
from xml.etree import ElementTree

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

VERSION = {"x-ms-version": "2021-08-06"}


class ServiceBlobs:
    """The account is the workspace's own unless one is named."""

    def __init__(self, azure: FakeAzure) -> None:
        self.azure = azure
        self._made: set[tuple[str, str]] = set()
        self._signatures: dict[str, str] = {}

    def put(self, container: str, path: str, data: bytes, *, account: str = "") -> None:
        self._ask("PUT", account, container, path, data, headers={"x-ms-blob-type": "BlockBlob"}, expected=201)

    def get(self, container: str, path: str, *, account: str = "") -> bytes:
        return self._ask("GET", account, container, path, expected=200)

    def list(self, container: str, prefix: str = "", *, account: str = "") -> list[str]:
        """The first 5000, more than a test has."""
        query = {"restype": "container", "comp": "list", "prefix": prefix}
        root = ElementTree.fromstring(self._ask("GET", account, container, query=query, expected=200))
        return [str(name.text) for name in root.iterfind("./Blobs/Blob/Name")]

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Every blob of every container, with the words that name it; over one connection an account."""
        for account, container in sorted(self.azure.state.containers):
            paths = self.list(container, account=account)
            with contextlib.closing(self._connection(account)) as connection:
                for path in paths:
                    data = self._answer(connection, "GET", account, f"/{container}/{path}", expected=200)
                    yield f"{account}/{container}/{path}", data

    def delete(self, container: str, path: str, *, account: str = "") -> None:
        self._ask("DELETE", account, container, path, expected=202)

    def sas_url(
        self, container: str, path: str = "", *, permissions: str = "r", account: str = "", minutes: int = 60
    ) -> str:
        """The address of a blob, or of a container where `path` is "", with a signature that Azurite enforces."""
        from azure.storage.blob import generate_blob_sas, generate_container_sas

        account = account or self.azure.state.account
        self._exists(account, container)
        now = datetime.now(timezone.utc)
        common: dict[str, Any] = {"account_name": account, "container_name": container, "permission": permissions}
        common |= {"account_key": self.azure.azurite.keys[account], "protocol": "https"}
        common |= {"start": now - timedelta(minutes=5), "expiry": now + timedelta(minutes=minutes)}
        token = generate_blob_sas(blob_name=path, **common) if path else generate_container_sas(**common)
        self.azure.secrets.add(dict(parse_qsl(token))["sig"], "a signature of an address")
        return f"https://{account}.blob.core.windows.net/{container}{'/' if path else ''}{quote(path)}?{token}"

    def ensure(self, account: str, container: str) -> None:
        """Makes the container in Azurite when the state says that it exists."""
        with self.azure.lock:  # until it is there: many threads may ask for the first blob
            if (account, container) in self._made or (account, container) not in self.azure.state.containers:
                return
            self._made.add((account, container))
            self._ask("PUT", account, container, query={"restype": "container"}, expected=201)

    def _exists(self, account: str, container: str) -> None:
        self.azure.state.add_container(account, container)
        self.ensure(account, container)

    def _ask(
        self,
        method: str,
        account: str,
        container: str,
        path: str = "",
        data: bytes = b"",
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        expected: int,
    ) -> bytes:
        account = account or self.azure.state.account
        self._exists(account, container)
        place = f"/{container}/{path}" if path else f"/{container}"
        with contextlib.closing(self._connection(account)) as connection:
            return self._answer(
                connection, method, account, place, data, query=query or {}, headers=headers or {}, expected=expected
            )

    def _connection(self, account: str) -> http.client.HTTPConnection:
        host = f"{account}.blob.core.windows.net"
        connection = http.client.HTTPConnection(host)
        connection.sock = self.azure.azurite.connect(host)
        return connection

    def _answer(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        account: str,
        place: str,
        data: bytes = b"",
        *,
        query: Mapping[str, str] = MappingProxyType({}),
        headers: Mapping[str, str] = MappingProxyType({}),
        expected: int,
    ) -> bytes:
        signed = f"{quote(place)}?{urlencode(query)}&{self._signature(account)}"
        connection.request(method, signed, data or None, {**VERSION, **headers})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == expected, f"{method} {account}{place}: {answer.status}, expected {expected}: {body!r}"
        return body

    def _signature(self, account: str) -> str:
        from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

        if account not in self._signatures:
            self._signatures[account] = generate_account_sas(
                account,
                self.azure.azurite.keys[account],
                ResourceTypes(container=True, object=True),
                AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
                datetime.now(timezone.utc) + timedelta(days=1),
            )
        return self._signatures[account]
