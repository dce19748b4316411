"""How the tests meet a server: its address, one request, the answer."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scoring.detector import Detector
from scoring.server.context import Context
from scoring.server.service import ServedModel


@dataclass
class Answer:
    status: int
    headers: dict[str, str]  # lower case names
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Running:
    """A server and one way to ask it; `context.service` is the real one."""

    context: Context
    port: int
    headers: dict[str, str] = field(default_factory=dict)  # sent with every request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own; `x_api_key="…"` is the header x-api-key."""
        named = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, value: Any, **headers: str) -> Answer:
        """Bytes as an image, anything else as JSON; a `content_type` may say otherwise."""
        raw = isinstance(value, bytes)
        body = value if raw else json.dumps(value).encode()
        kind = {"content_type": "application/octet-stream" if raw else "application/json"}
        return self.ask("POST", path, body, **{**kind, **headers})


@contextmanager
def connected(server: Running) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        yield line


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def served(bundle: Path, *, version: str = "1", detector: Any = None) -> ServedModel:
    """A model in memory, as the server would load it."""
    opened = detector or Detector.load(bundle)
    name = opened.bundle.manifest.name
    return ServedModel(name, version, opened, "0" * 64, "2026-05-01T10:00:00Z")
