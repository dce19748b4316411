"""`cva model pull`: its arguments and its words. Parses and prints, nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Protocol


class Printer(Protocol):
    def say(self, text: str = "") -> None: ...
    def warn(self, text: str) -> None: ...


def add_pull(verb: argparse.ArgumentParser) -> None:
    """Give the arguments of `pull` to a (sub-)command's parser."""
    verb.description = (
        "Bring a registered version onto this machine: every file checked against its hash, golden images scored, then"
        " swapped in at one moment. Exit codes: 0 current or updated, 1 nothing installed and nothing obtainable,"
        " 2 usage, 3 offline and serving the old one, 4 verification failed, 5 self-test failed, 6 incompatible,"
        " 75 locked."
    )
    verb.add_argument("name", metavar="NAME", help="the model, for example Cap_Detection_Model")
    verb.add_argument("--version", default="latest", metavar="latest|best|N|@champion", help="default: latest")
    verb.add_argument("--to", type=Path, required=True, metavar="DIR", help="the model goes to DIR/NAME/current")
    verb.add_argument(
        "--allow-downgrade", action="store_true", help="also swap in a version older than the current one"
    )
    verb.set_defaults(run=run_pull, long=True)


def run_pull(args: argparse.Namespace, out: Printer) -> dict[str, Any]:
    """Pull from the local workspace; sets `args.exit_code`."""
    from scoring.edge.pull import pull
    from scoring.edge.registry import LocalRegistry

    result = pull(
        LocalRegistry.of(),
        args.name,
        args.version,
        args.to,
        allow_downgrade=args.allow_downgrade,
        say=lambda text: out.say(f"  {text}"),
    )
    if result.status == "offline":
        out.warn(f"{result.message}; {result.name}:{result.version} goes on")
    else:
        out.say(f"{result.name}:{result.version} is {result.status}: {args.to / args.name / 'current'}")
    args.exit_code = result.exit_code
    return result.to_json()
