"""`cva serve`: arguments and environment to settings, a model to serve, and the server until it is told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scoring.errors import StorageError, UsageError
from scoring.keys import keys_file

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from scoring.server.app import Context
    from scoring.server.settings import ServeSettings


class Printer(Protocol):
    json_only: bool

    def say(self, text: str = "") -> None: ...
    def json(self, value: Mapping[str, Any]) -> None: ...


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="cva serve", description="Serve a model over HTTP.")
    result.add_argument("--bundle", type=Path, metavar="DIR", help="a model's folder, for example DEST/NAME/current")
    result.add_argument("--host", default="127.0.0.1", metavar="ADDRESS")
    result.add_argument("--port", type=int, default=None, metavar="N", help="0: any free one (default 8000)")
    result.add_argument("--no-keys", action="store_true", help="answer anyone who can reach the address")
    result.add_argument("--cors-origin", action="append", default=[], metavar="ORIGIN")
    result.set_defaults(run=run)
    return result


def run(args: argparse.Namespace, out: Printer) -> None:
    from scoring.server.app import Context, create_app

    settings = settings_of(args, os.environ)
    context = Context.of(settings)
    _load(context, args)
    app = create_app(context)
    with listen(settings) as listener:
        url = f"http://{settings.host}:{listener.getsockname()[1]}"
        out.say(f"serving on {url}")
        if out.json_only:
            out.json({"url": url})
        serve(app, settings, listener)
    context.service.close()


def settings_of(args: argparse.Namespace, environ: Mapping[str, str]) -> ServeSettings:
    from scoring.server.settings import LOOPBACK, ServeSettings

    settings = ServeSettings(
        host=args.host,
        port=8000 if args.port is None else args.port,
        keys_file=keys_file(environ),
        keys=(environ["KEY"].encode(),) if environ.get("KEY") else (),
        cors_origins=tuple(args.cors_origin),
    )
    if settings.host not in LOOPBACK and not settings.locked and not args.no_keys:
        raise UsageError(
            f"expected keys for {settings.host}, which others can reach, found none",
            hint="set CVA_KEYS_FILE, listen on 127.0.0.1, or say --no-keys",
        )
    return settings


def make_server(app: FastAPI, settings: ServeSettings) -> uvicorn.Server:
    """uvicorn as this server wants it; `server.run(sockets=[…])` runs it."""
    import uvicorn

    config = uvicorn.Config(
        app,
        http="httptools",
        loop="auto" if sys.platform == "win32" else "uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=int(settings.deadline_seconds) + 5,
    )
    return uvicorn.Server(config)


def serve(app: FastAPI, settings: ServeSettings, listener: socket.socket) -> None:
    """Until SIGTERM or SIGINT; requests in flight are finished."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises it again when all is done; then it means nothing
    make_server(app, settings).run(sockets=[listener])


def _load(context: Context, args: argparse.Namespace) -> None:
    from datetime import datetime, timezone

    from scoring.bundle import MANIFEST, load_bundle
    from scoring.detector import Detector
    from scoring.files import sha256_of
    from scoring.server.service import ServedModel

    bundle = load_bundle(args.bundle)
    detector = Detector.load(bundle, threads=context.settings.threads, provider=context.settings.provider)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    context.service.use(ServedModel(bundle.manifest.name, "", detector, sha256_of(args.bundle / MANIFEST), now))


def listen(settings: ServeSettings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        raise StorageError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}", hint="choose another --port"
        ) from error
