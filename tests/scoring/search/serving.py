"""The real server on a free port of this machine, in a thread, with a real (tiny) model, for as long as a `with`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scoring.server.app import create_app
from scoring.server.cli import listen, make_server
from scoring.server.context import Context
from scoring.server.settings import ServeSettings
from tests.scoring.server.running import Running, served


@contextmanager
def serving(bundle: Path | None, **options: Any) -> Iterator[Running]:
    """Without a bundle: a server that is still loading. Requests wait in the socket until the server has started."""
    settings = ServeSettings(**{"port": 0, "workers": 2, **options})
    context = Context.of(settings)
    if bundle is not None:
        context.service.use(served(bundle))
    with listen(settings) as listener:
        server = make_server(create_app(context), settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield Running(context, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            context.service.close()
