"""A real server for the tests: the application under uvicorn on a free loopback port, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scoring.server.app import Context, create_app
from scoring.server.cli import listen, make_server
from scoring.server.settings import ServeSettings
from tests.scoring.server.running import Running, served


@pytest.fixture
def serve(tiny_bundle: Callable[..., Path]) -> Iterator[Callable[..., Running]]:
    """`serve(**settings)` runs a server until the test ends; `model=None` leaves it without a model."""
    ends: list[Callable[[], None]] = []

    def start(*, model: Any = "tiny", **options: Any) -> Running:
        settings = ServeSettings(**{"port": 0, "workers": 2, **options})
        context = Context.of(settings)
        if model is not None:
            bundle = tiny_bundle(f"served{len(ends)}") if model == "tiny" else None
            context.service.use(served(bundle) if bundle else model)
        listener = listen(settings)
        server = make_server(create_app(context), settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def end() -> None:
            server.should_exit = True
            thread.join(timeout=20)
            context.service.close()
            listener.close()
            assert not thread.is_alive()

        ends.append(end)
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        return Running(context, listener.getsockname()[1])

    yield start
    for end in ends:
        end()


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
