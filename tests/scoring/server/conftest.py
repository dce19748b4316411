"""A real server for the tests: the application under uvicorn on a free loopback port, in this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from scoring.server.app import create_app
from scoring.server.cli import listen, make_server
from scoring.server.context import Context
from scoring.server.service import ServedModel
from scoring.server.settings import ServeSettings
from tests.scoring.server.running import Running, served


@contextmanager
def started(
    bundle: Path | None, *, model: ServedModel | None = None, send_buffer: int = 0, **options: Any
) -> Iterator[Running]:
    """A server with these settings, until the block ends; `send_buffer` is that of its connections, in bytes."""
    settings = ServeSettings(**{"port": 0, "workers": 2, **options})
    context = Context.of(settings)
    if model is None and bundle is not None:
        model = served(bundle)
    if model is not None:
        context.service.use(model)
    listener = listen(settings)
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    server = make_server(create_app(context), settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield Running(context, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        context.service.close()
        listener.close()
        assert not thread.is_alive()


@pytest.fixture
def serve(tiny_bundle: Callable[..., Path]) -> Iterator[Callable[..., Running]]:
    """`serve(**settings)` runs a server until the test ends; `model=None` leaves it without a model."""
    with ExitStack() as ends:
        names = (f"served{number}" for number in count())

        def start(*, model: Any = "tiny", **options: Any) -> Running:
            bundle = tiny_bundle(next(names)) if model == "tiny" else None
            own = None if model == "tiny" else model
            return ends.enter_context(started(bundle, model=own, **options))

        yield start


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server with the usual settings for all tests that change nothing in it."""
    from tests.scoring.conftest import make_bundle

    with started(make_bundle(tmp_path_factory.mktemp("server") / "bundle")) as running:
        yield running


@pytest.fixture
def png() -> Callable[..., bytes]:
    """`png(colour, size)` gives a picture's bytes; the tiny model sees its colour."""
    from io import BytesIO

    from PIL import Image

    def make(
        colour: tuple[int, int, int] = (200, 150, 10), size: tuple[int, int] = (40, 20), kind: str = "PNG"
    ) -> bytes:
        file = BytesIO()
        Image.new("RGB", size, colour).save(file, kind)
        return file.getvalue()

    return make
