"""`cva serve`: a model, an address, and the server between them until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from scoring.errors import StorageError, UsageError
from scoring.keys import SHORTEST
from scoring.server import arguments
from scoring.server.memory import keep_freed_memory

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from scoring.server.context import Context
    from scoring.server.settings import ServeSettings

log = logging.getLogger(__name__)

FILES = 65536  # open files, a connection each; as many as the system allows


class Printer(Protocol):
    json_only: bool

    def say(self, text: str = "") -> None: ...
    def json(self, value: Mapping[str, Any]) -> None: ...


def parser() -> argparse.ArgumentParser:
    result = arguments.parser()
    result.set_defaults(run=run)
    return result


def run(args: argparse.Namespace, out: Printer) -> None:
    """Raises: CvaError for a model, keys or an address that cannot be used."""
    from scoring.server.app import create_app
    from scoring.server.context import Context
    from scoring.server.pulled import open_source
    from scoring.server.reload import Opening, Reloader, listen_for_hangup

    settings = arguments.settings_of(args, os.environ)
    _log_to_stderr(settings)
    _warn_of_keys(settings, no_keys=args.no_keys)
    if args.port is not None and os.environ.get("WEBSITES_PORT", str(args.port)).strip() != str(args.port):
        log.warning("WEBSITES_PORT is not used, as --port is given; a container's health check asks it nevertheless")
    keep_freed_memory()
    source = open_source(
        model=args.model,
        bundle=args.bundle,
        registry=args.registry,
        store=args.store,
        provider=settings.provider,
        environ=os.environ,
    )
    context = Context.of(settings)
    opening = Opening(threads=settings.threads, provider=settings.provider)
    reloader = Reloader(
        source, context.service, seconds=settings.reload_seconds, opening=opening, tell=context.metrics.reload
    )
    app = create_app(replace(context, reloads=reloader.status))
    with listen(settings) as listener:
        if not source.patient:
            _load(context, source, opening)
        reloader.start()
        listen_for_hangup(reloader)
        told = _note_signals()
        _announce(context, listener, out)
        serve(app, settings, listener, told)
    reloader.close()
    context.service.close()
    out.say("stopped")


def listen(settings: ServeSettings) -> socket.socket:
    """Bound and listening: callers may connect from now on. Raises: StorageError, UsageError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except socket.gaierror as error:
        raise UsageError(f"expected an address of this machine, found {settings.host!r}", hint="give --host") from error
    except OSError as error:
        raise StorageError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
            hint="choose another --port or --host",
        ) from error


def make_server(app: ASGIApp, settings: ServeSettings, told: Sequence[int] = ()) -> uvicorn.Server:
    """uvicorn as this server wants it; `server.run(sockets=[…])` runs it. `told`: signals to end that came first."""
    import uvicorn

    from scoring.server.protocol import protocol
    from scoring.server.quiet import Server

    config = uvicorn.Config(
        app,
        http=protocol(settings.read_seconds),
        ws="none",
        loop="auto" if sys.platform == "win32" else "uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=math.ceil(settings.longest_seconds) + 5,
    )
    return Server(config, told)


def serve(app: ASGIApp, settings: ServeSettings, listener: socket.socket, told: Sequence[int] = ()) -> None:
    """Until SIGTERM or SIGINT; requests in flight are finished."""
    _allow_many_connections()
    make_server(app, settings, told).run(sockets=[listener])


def _note_signals() -> list[int]:
    """Those to end that come before uvicorn hears them itself; it raises its own again when all is done."""
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: told.append(number))
    return told


def _load(context: Context, source: Any, opening: Any) -> None:
    from scoring.server.reload import warm_up
    from scoring.server.source import load

    model = load(source, threads=opening.threads, provider=opening.provider)
    warm_up(model.detector)
    context.service.use(model)


def _announce(context: Context, listener: socket.socket, out: Printer) -> None:
    settings, model = context.settings, context.service.model
    host = f"[{settings.host}]" if ":" in settings.host else settings.host or "0.0.0.0"
    port = listener.getsockname()[1]
    url = f"http://{host}:{port}"
    out.say(f"{_model_words(context)}\n{url}  {_keys_words(settings)}")
    out.say(
        f"{settings.workers} workers x {settings.threads} threads on {settings.provider}, at most {settings.queue}"
        f" requests at a time; a page to try it at /, numbers at /metrics; ctrl-C ends it"
    )
    if out.json_only:
        name, version = (model.name, model.version) if model else (None, None)
        facts = {"url": url, "port": port, "model": name, "version": version}
        out.json({**facts, "keys": settings.locked, "workers": settings.workers})


def _model_words(context: Context) -> str:
    model = context.service.model
    if model is None:
        return "the model is being loaded; /health/ready tells when it is there"
    title = f"{model.name}:{model.version}" if model.version else model.name
    threshold = model.detector.bundle.postprocess.score_threshold
    scores = f"from {threshold:g}" if isinstance(threshold, float) else "from a threshold of each label's own"
    return f"{title} finds {'; '.join(model.detector.labels)}; scores {scores}"


def _keys_words(settings: ServeSettings) -> str:
    if settings.keys_file:
        return f"callers need a key of {settings.keys_file}"
    if settings.keys:
        return "callers need the key of KEY"
    reach = "only this machine reaches it" if arguments.is_loopback(settings.host) else "anyone may call (--no-keys)"
    return f"no keys: {reach}"


def _log_to_stderr(settings: ServeSettings) -> None:
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.DEBUG if settings.debug else logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.INFO if settings.debug else logging.WARNING)
    for name in ("asyncio", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _warn_of_keys(settings: ServeSettings, *, no_keys: bool) -> None:
    if settings.keys_file and os.environ.get("KEY"):
        log.warning("KEY is not used: the keys are those of CVA_KEYS_FILE")
    if no_keys and settings.locked:
        log.warning("--no-keys is not used: there are keys, of %s", "CVA_KEYS_FILE" if settings.keys_file else "KEY")
    if any(len(key) < SHORTEST for key in settings.keys):
        log.warning("KEY has fewer than %d characters and can be guessed; give it a longer one", SHORTEST)


def _allow_many_connections() -> None:
    """As many open files as this process may have without asking anyone."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
