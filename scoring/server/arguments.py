"""The words of `cva serve` and its environment, as settings. Starts nothing.

Environment: WEBSITES_PORT (the port), DEBUG (more words), CVA_KEYS_FILE or KEY (the keys), and what
`pulled.open_source` reads about the model. What is said on the command line goes before the environment.
"""

from __future__ import annotations

import argparse
import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scoring.errors import UsageError
from scoring.keys import keys_file

if TYPE_CHECKING:
    from scoring.server.settings import ServeSettings

TRUE = ("1", "true", "yes", "on")
DEFAULT_PORT = 8000
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:]+\](:\d{1,5})?")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="cva serve",
        description="Serve a model over HTTP: /score, the search skill, a page to try it at /. Keys come from the file"
        " CVA_KEYS_FILE (mode 0600, one a line, read again when it changes) or from KEY. SIGTERM finishes what is in"
        " flight and ends with 0; SIGHUP looks for a new model at once.",
    )
    _model(result.add_argument_group("model"))
    _address(result.add_argument_group("address"))
    _work(result.add_argument_group("work"))
    _limits(result.add_argument_group("limits"))
    result.add_argument("--access-log", action="store_true", help="one line a request on stderr")
    result.add_argument("--debug", action="store_true", help="more words on stderr (also DEBUG=1)")
    return result


def _model(group: argparse._ArgumentGroup) -> None:
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--model", default="", metavar="NAME[:VERSION|@champion|@latest]", help="a registered model of the workspace"
    )
    which.add_argument("--bundle", type=Path, metavar="DIR", help="a model's folder, for example DEST/NAME/current")
    group.add_argument("--registry", default="", metavar="PATH|URL", help="pull --model from there")
    group.add_argument("--store", type=Path, metavar="DIR", help="keep what is pulled there (default: the workspace)")
    group.add_argument(
        "--reload-seconds", type=_not_negative, default=30.0, metavar="S", help="look for a new version; 0: never"
    )


def _address(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default 127.0.0.1, this machine alone")
    group.add_argument("--port", type=_port, metavar="N", help=f"0: any free one (default {DEFAULT_PORT})")
    group.add_argument(
        "--no-keys", action="store_true", help="where there are none: answer anyone who can reach the address"
    )
    group.add_argument(
        "--cors-origin",
        type=_origin,
        action="append",
        default=[],
        metavar="ORIGIN",
        help="pages from there may call, for example https://example.org (again for more)",
    )


def _work(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--workers", type=_count, metavar="N", help="images scored at a time (default: one a core)")
    group.add_argument("--threads", type=_count, default=1, metavar="N", help="of the runtime for each image")
    group.add_argument("--provider", default="cpu", help="cpu, cuda, tensorrt or openvino, as onnxruntime has it")
    group.add_argument(
        "--fast-jpeg", action="store_true", help="decode large JPEGs no larger than needed: mAP differed by up to .0023"
    )
    group.add_argument("--queue", type=_count, default=64, metavar="N", help="requests that wait or are scored")


def _limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--max-body", type=_count, default=64, metavar="MIB", help="of a request (default 64)")
    group.add_argument("--max-images", type=_count, default=1000, metavar="N", help="in a request (default 1000)")
    group.add_argument("--max-image", type=_count, default=32, metavar="MIB", help="of an image's file (default 32)")
    group.add_argument(
        "--max-pixels", type=_megapixels, default=40, metavar="MP", help="megapixels of an image (default 40)"
    )
    group.add_argument("--deadline-seconds", type=_positive, default=60.0, metavar="S", help="for an answer")
    group.add_argument("--skill-seconds", type=_positive, default=25.0, metavar="S", help="for a search skill's answer")
    group.add_argument(
        "--read-seconds",
        type=_positive,
        default=30.0,
        metavar="S",
        help="for a request to arrive, an answer to be taken",
    )


def settings_of(args: argparse.Namespace, environ: Mapping[str, str]) -> ServeSettings:
    """Raises: UsageError, also for an address that others can reach and no keys."""
    from scoring.images import ImageLimits
    from scoring.server.settings import MIB, ServeSettings, cores

    file, key = keys_file(environ), _key_of(environ)
    settings = ServeSettings(
        host=args.host,
        port=_port_of(args, environ),
        workers=args.workers or cores(),
        threads=args.threads,
        provider=args.provider,
        fast_jpeg=args.fast_jpeg,
        queue=args.queue,
        deadline_seconds=args.deadline_seconds,
        skill_seconds=args.skill_seconds,
        read_seconds=args.read_seconds,
        max_body=args.max_body * MIB,
        max_held=4 * args.max_body * MIB,
        max_images=args.max_images,
        limits=ImageLimits(max_bytes=args.max_image * MIB, max_pixels=args.max_pixels * 1_000_000),
        keys=(key.encode(),) if key and file is None else (),
        keys_file=file,
        cors_origins=tuple(args.cors_origin),
        reload_seconds=args.reload_seconds,
        access_log=args.access_log,
        debug=args.debug or environ.get("DEBUG", "").strip().lower() in TRUE,
    )
    if not (settings.locked or args.no_keys or is_loopback(settings.host)):
        raise UsageError(
            f"expected keys for {settings.host or 'every address'}, which others can reach, found none",
            hint="set CVA_KEYS_FILE, listen on 127.0.0.1, or say --no-keys",
        )
    return settings


def _key_of(environ: Mapping[str, str]) -> str:
    """App Service hands over the text of a reference that it cannot resolve, which anybody could guess."""
    key = environ.get("KEY", "").strip()
    if key.startswith("@Microsoft.KeyVault("):
        raise UsageError(
            "KEY is a Key Vault reference that was not resolved",
            hint="the app's identity needs the role Key Vault Secrets User, and the secret must be there",
        )
    return key


def is_loopback(host: str) -> bool:
    """Only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _port_of(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    if args.port is not None:
        return int(args.port)
    given = environ.get("WEBSITES_PORT", "").strip()
    try:
        return _port(given) if given else DEFAULT_PORT
    except (ValueError, argparse.ArgumentTypeError):
        raise UsageError(f"WEBSITES_PORT: expected a port from 0 to 65535, found {given!r}") from None


def _checked(read: Callable[[str], float], good: Callable[[float], bool], words: str) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            value = read(text)
        except ValueError:
            value = math.nan
        if not good(value):
            raise argparse.ArgumentTypeError(f"expected {words}, found {text!r}")
        return value

    return convert


_count = _checked(int, lambda value: value >= 1, "a whole number of 1 or more")
_megapixels = _checked(int, lambda value: 1 <= value <= 178, "megapixels from 1 to 178, Pillow's own limit")
_port_number = _checked(int, lambda value: 0 <= value <= 65535, "a port from 0 to 65535")
_positive = _checked(float, lambda value: 0 < value < math.inf, "seconds above 0")
_not_negative = _checked(float, lambda value: 0 <= value < math.inf, "seconds, or 0 for never")


def _port(text: str) -> int:
    return int(_port_number(text))


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"expected an exact origin such as https://example.org or http://localhost:3000, found {text!r}"
        )
    return text
