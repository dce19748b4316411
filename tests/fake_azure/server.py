"""The loopback server: a CONNECT proxy that ends TLS itself, and plain HTTP for the metadata service.

Knows sockets and HTTP; what a request means is `FakeAzure.handle`.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
import uuid
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.fake_azure.faults import Fault
from tests.fake_azure.hosts import LOOPBACK, METADATA, kind_of
from tests.fake_azure.messages import Reply, Request

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

IDLE_SECONDS = 120


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, azure: FakeAzure) -> None:
        self.azure = azure
        self.tls = azure.authority.server_context()
        super().__init__(("127.0.0.1", 0), Proxy)

    def start(self) -> str:
        """Its address, once it listens."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news; anything else is a mistake of the fake."""
        import sys

        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError, ssl.SSLError)):
            self.azure.failed(error)


class _Http(BaseHTTPRequestHandler):
    """Reads a request, has it handled, writes the reply; faults break the connection where they say."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    host = ""
    kind = ""
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """The log is `FakeAzure.requests`."""

    def answer(self) -> None:
        azure = self.server.azure
        target = urlsplit(self.path)
        fault = azure.faults.take(self.command, f"{self.host}{target.path}?{target.query}")
        body = self._body(half=fault is not None and fault.what == "drop")
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = {name.lower(): value for name, value in parse_qsl(target.query, keep_blank_values=True)}
        request = Request(self.command, self.host, target.path, query, headers, body)
        call = azure.requests.add(self.command, self.host, target.path, query, headers, body)
        call.fault = str(fault.what) if fault else ""
        if fault is not None and fault.what == "drop":
            return self._break()
        reply = azure.handle(self.kind, request, call, fault, self.path)
        call.status = reply.status
        if fault is not None and fault.what == "drop-answer":
            return self._break()
        self._write(reply, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

    def _body(self, *, half: bool) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"" if half else b"".join(iter(self._chunk, b""))
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length // 2 if half else length)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _write(self, reply: Reply, fault: Fault | None) -> None:
        body, kind = reply.encoded()
        given = {name.lower(): value for name, value in reply.headers.items()}
        length = given.pop("content-length", "") if self.command == "HEAD" else str(len(body))
        headers = {"x-ms-request-id": str(uuid.uuid4()), **({"content-type": kind} if kind else {}), **given}
        self.send_response(reply.status)
        for name, value in headers.items():
            if name not in ("date", "server", "content-length"):  # sent already, or below
                self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("content-length", length or "0")
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = fault is not None and fault.what == "cut-answer"
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._break()

    def _break(self) -> None:
        """Without a goodbye, as a lost line does."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)


class Proxy(_Http):
    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        azure, kind = self.server.azure, kind_of(host)
        unknown_account = kind == "blob" and host.partition(".")[0] not in azure.state.accounts
        if kind is None or port != "443" or unknown_account:
            azure.refused.append(host)
            return self._refuse()
        self.send_response(200, "Connection established")
        self.end_headers()
        self.close_connection = True
        with self.server.tls.wrap_socket(self.connection, server_side=True) as secure:
            Inside(secure, self.client_address, self.server, host.lower(), kind)

    def answer(self) -> None:
        """Plain HTTP: to the fake itself on loopback, or through it as a proxy to the metadata service."""
        host = urlsplit(self.path).hostname or (self.headers.get("Host") or "").rpartition(":")[0]
        if host not in (*LOOPBACK, METADATA):
            self.server.azure.refused.append(host)
            return self._refuse()
        self.host, self.kind = host, "loopback"
        super().answer()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

    def _refuse(self) -> None:
        self.close_connection = True
        self._write(Reply(403, "This proxy answers for Azure's names only."), None)


class Inside(_Http):
    """What speaks inside the tunnel."""

    def __init__(self, connection: ssl.SSLSocket, address: Any, server: Server, host: str, kind: str) -> None:
        self.host, self.kind = host, kind
        super().__init__(connection, address, server)

    def finish(self) -> None:
        super().finish()
        self.server.azure.hang_up()
