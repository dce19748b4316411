"""`cva model pull` and `cva model publish-static`: parses and prints. Imports nothing heavy before a command runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scoring.edge.registries import open_registry
from scoring.edge.trust import POLICIES
from scoring.errors import UsageError

if TYPE_CHECKING:
    from scoring.edge.health import Health
    from scoring.edge.registry import LocalRegistry, Registry
    from scoring.edge.result import PullResult

REFERENCE = "NAME, NAME:3, NAME@latest, NAME@champion or NAME@best"


class Printer(Protocol):
    def say(self, text: str = "") -> None: ...
    def warn(self, text: str) -> None: ...


def add_pull(verbs: Any, open_registry: Callable[[str | None], Registry] = open_registry) -> None:
    """`open_registry` knows what `--registry` may name."""
    command = verbs.add_parser(
        "pull",
        help="bring a version onto a device: verified, tested, swapped in at once",
        epilog="exit codes: 0 current or updated, 1 nothing installed and nothing obtainable, 2 usage, 3 offline, the"
        " old one goes on, 4 verification failed, 5 self-test or health window failed, 6 this machine cannot run it,"
        " 75 another pull is running",
    )
    command.add_argument("model", help=REFERENCE)
    command.add_argument("--version", help="latest, best, champion or a number")
    command.add_argument("--to", type=Path, required=True, metavar="DIR", help="the device's folder of models")
    command.add_argument(
        "--registry", metavar="PLACE", help="file:FOLDER, https://HOST/PATH or a workspace (default: CVA_REGISTRY)"
    )
    command.add_argument("--allow-downgrade", action="store_true", help="a lower version than the installed one")
    command.add_argument("--dry-run", action="store_true", help="check everything, download no files, change nothing")
    command.add_argument(
        "--signatures", choices=POLICIES, help="default: enforce where the device has pinned keys, else warn"
    )
    command.add_argument(
        "--trusted-keys", type=Path, metavar="FILE", help="default: CVA_TRUSTED_KEYS, else DIR/trusted_keys.json"
    )
    command.add_argument("--health-url", metavar="URL", help="the device's server, which must serve the new version")
    command.add_argument("--health-seconds", type=float, metavar="N", help="the window for that (default 60)")
    command.add_argument(
        "--health-key-file", type=Path, metavar="FILE", help="a key of that server is in it (default: CVA_KEYS_FILE)"
    )
    command.add_argument(
        "--provider", default="cpu", help="what the self-test runs on, as what will serve does (default cpu)"
    )
    command.set_defaults(run=partial(pull_model, open_registry=open_registry), long=True)


def add_publish(verbs: Any, source: Callable[[str, str], LocalRegistry] | None = None) -> None:
    """`source` gives a folder that holds the version of a name; without it, the workspace's."""
    command = verbs.add_parser(
        "publish-static", help="a verified, signed copy in a folder that devices pull from by file: or https:"
    )
    command.add_argument("model", help=f"{REFERENCE}; a bare name is the champion, else the latest")
    command.add_argument("--to", type=Path, required=True, metavar="DIR")
    command.add_argument("--key", type=Path, metavar="FILE", help="the private key (default: CVA_SIGNING_KEY_FILE)")
    command.add_argument("--unsigned", action="store_true", help="publish without a signature")
    command.add_argument("--dry-run", action="store_true", help="say what would happen")
    command.set_defaults(run=partial(publish_model, source=source), long=True)


def pull_model(
    args: argparse.Namespace, out: Printer, open_registry: Callable[[str | None], Registry]
) -> dict[str, Any]:
    from scoring.edge.admission import Signing
    from scoring.edge.pull import pull
    from scoring.edge.registry import parse_reference

    name, word = parse_reference(args.model)
    if word and args.version:
        raise UsageError(f"{args.model} names a version and so does --version", hint="give one of them")
    version = (args.version or word or "best").removeprefix("@")
    health = _health(args)
    done = pull(
        open_registry(args.registry),
        name,
        version,
        args.to,
        allow_downgrade=args.allow_downgrade,
        dry_run=args.dry_run,
        signing=Signing.of(args.to, args.signatures, args.trusted_keys),
        health=health,
        provider=args.provider,
        say=out.say,
    )
    args.exit_code = done.exit_code
    _tell(done, out)
    return done.to_json()


def publish_model(
    args: argparse.Namespace, out: Printer, source: Callable[[str, str], LocalRegistry] | None
) -> dict[str, Any]:
    from scoring.edge.publish import publish
    from scoring.edge.registry import LocalRegistry, parse_reference
    from scoring.edge.signing import KEY_FILE, find_signer

    name, word = parse_reference(args.model)
    if args.unsigned and args.key:
        raise UsageError("expected --key or --unsigned, found both", hint="give one of them")
    signer = None if args.unsigned else find_signer(args.key)
    if signer is None and not args.unsigned:
        raise UsageError(
            "expected a signing key, found none",
            hint=f"set {KEY_FILE} to the file that `cva keys new` made, or say --unsigned",
        )
    registry = source(name, word) if source else LocalRegistry.of()
    done = publish(registry, name, word, args.to, signer=signer, dry_run=args.dry_run)
    signed = f"signed by {', '.join(done.keyids)}" if done.keyids else "not signed"
    would = "would be " if done.dry_run else ""
    out.say(
        f"{done.name}:{done.version} {would}{done.status}: {done.folder} ({signed}; champion: {done.champion or '-'})"
    )
    return done.to_json()


def _health(args: argparse.Namespace) -> Health | None:
    from scoring.edge.health import Health

    if args.health_url is None:
        for option, given in (("--health-seconds", args.health_seconds), ("--health-key-file", args.health_key_file)):
            if given is not None:
                raise UsageError(f"{option} needs --health-url", hint="give the server's address too")
        return None
    window = {} if args.health_seconds is None else {"seconds": args.health_seconds}
    return Health(args.health_url, key=_health_key(args.health_key_file), **window)


def _health_key(given: Path | None) -> str:
    """Any of a server's keys will do. Raises: NotFoundError, StorageError, UsageError."""
    from scoring.keys import keys_file, load_keys

    path = given or keys_file()
    return "" if path is None else load_keys(path)[0].decode()


def _tell(done: PullResult, out: Printer) -> None:
    if done.status == "offline":
        out.warn(done.message)
    if done.admitted is not None and done.admitted.problem:
        out.warn(f"{done.admitted.problem} (goes on: --signatures {done.admitted.policy})")
    out.say(f"{done.name}:{done.version} {done.status}: {done.path}")
