"""The real server on a free port of this machine, in a thread, with a real (tiny) model."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Served:
    port: int
    context: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """`body` as it is where it is bytes, as JSON otherwise; names of headers with _ for -."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, content, {"Content-Type": "application/json", **named})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@contextmanager
def serving(bundle: Path | None, **settings: Any) -> Iterator[Served]:
    """Without a bundle: a server that is still loading."""
    import uvicorn

    from scoring.bundle import load_bundle
    from scoring.detector import Detector
    from scoring.server.app import Context, create_app
    from scoring.server.service import ServedModel
    from scoring.server.settings import ServeSettings

    context = Context.of(ServeSettings(**{"port": 0, "workers": 2, **settings}))
    if bundle is not None:
        detector = Detector.load(load_bundle(bundle))
        context.service.use(ServedModel("Caps", "1", detector, "0" * 64, "2026-05-01T10:00:00Z"))
    app = create_app(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield Served(listener.getsockname()[1], context)
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            context.service.close()
