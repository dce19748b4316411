"""Passes what is asked of a blob host on to Azurite, on one kept connection for each client thread."""

from __future__ import annotations

import http.client
import ssl
import threading
from typing import TYPE_CHECKING

from tests.fake_azure.messages import Reply, Request

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "upgrade", "expect", "content-length"}


class BlobHost:
    def __init__(self, azure: FakeAzure) -> None:
        self.azure = azure
        self._kept = threading.local()

    def forward(self, request: Request, target: str) -> Reply:
        account = request.host.partition(".")[0]
        self.azure.blobs.ensure(account, request.path.strip("/").partition("/")[0])
        try:
            return self._sent(request, target)
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):  # Azurite lets an idle one go
            return self._sent(request, target)

    def _sent(self, request: Request, target: str) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name not in HOP}
        connection = self._connection(request.host)
        try:
            connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if request.body or request.method in ("PUT", "POST"):
                connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            body = answer.read()
        except BaseException:
            self._kept.__dict__.pop(request.host, None)
            connection.close()
            raise
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP - {"content-length"}}
        return Reply(answer.status, body or None, kept)

    def close(self) -> None:
        """This thread's connections."""
        kept: dict[str, http.client.HTTPConnection] = self._kept.__dict__
        while kept:
            kept.popitem()[1].close()

    def _connection(self, host: str) -> http.client.HTTPConnection:
        kept: dict[str, http.client.HTTPConnection] = self._kept.__dict__
        if host not in kept or kept[host].sock is None:
            connection = http.client.HTTPConnection(host)
            connection.sock = self.azure.azurite.connect(host)
            kept[host] = connection
        return kept[host]
