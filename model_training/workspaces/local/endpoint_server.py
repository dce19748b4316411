"""`cva endpoint serve`: HTTP around `endpoint_api.py`, with limits on what is read.

Submissions run in processes of their own, so runs outlive the server. Knows nothing about what requests mean.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from model_training.workspaces.local.endpoint_api import LOOPBACK, MAX_BODY, Answer, EndpointApi, Request
from scoring.errors import StorageError, UsageError

TIMEOUT_SECONDS = 30.0  # for a client that sends nothing


class EndpointServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, api: EndpointApi, log: Callable[[str], None]) -> None:
        self.api = api
        self.log = log
        if ":" in host:
            import socket

            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise StorageError(
                f"cannot listen on {host}:{port}: {error}", hint="choose another --port (0 finds a free one)"
            ) from error

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event; anything else is one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            self.log(f"{type(error).__name__}: {error}")


def make_server(host: str, port: int, api: EndpointApi, log: Callable[[str], None]) -> EndpointServer:
    """Bound and ready; `serve_forever` answers. Raises: UsageError for an open address without keys, StorageError."""
    if host not in LOOPBACK and not api.keys:
        raise UsageError(
            f"{host} can be reached from other machines: expected keys, found none",
            hint="set CVA_KEYS_FILE to a file (mode 0600) with one key a line, or use --host 127.0.0.1",
        )
    return EndpointServer(host, port, api, log)


class _Handler(BaseHTTPRequestHandler):
    server: EndpointServer
    server_version = "cva"
    sys_version = ""
    timeout = TIMEOUT_SECONDS
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")  # a request with neither header has no body (RFC 9112, 6.3)
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            self._refuse(Answer(411, {"message": "expected a Content-Length"}))
        elif len(length) > 12 or int(length) > MAX_BODY:
            self._refuse(Answer(413, {"message": f"expected a body of at most {MAX_BODY} bytes, found {length}"}))
        else:
            self._handle(self.rfile.read(int(length)))

    def _handle(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            answer = self.server.api.answer(Request(self.command, self.path, headers, body))
        except Exception as error:  # the border: whatever is our own fault is answered without its inside
            request_id = secrets.token_hex(8)
            self.server.log(f"{request_id} {type(error).__name__}: {error}")
            answer = Answer(500, {"message": "this server could not do it; its log says why", "request_id": request_id})
        self._send(answer)

    def _refuse(self, answer: Answer) -> None:
        """The body was not read, so the connection cannot go on."""
        self.close_connection = True
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        text = isinstance(answer.body, str)
        data = (str(answer.body) if text else json.dumps(answer.body, ensure_ascii=False, default=str)).encode("utf-8")
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/plain; charset=utf-8" if text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if answer.status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        self.server.log(f"{self.address_string()} {format % args}")
