"""`cva search`: set Azure AI Search up over a container of pictures, watch it, and ask it. Parses and prints.

Keys come from the environment alone: CVA_SEARCH_KEY or CVA_SEARCH_TOKEN for the search service, CVA_SKILL_KEY for
the skill (`cva serve`), which the search service keeps in the skillset.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scoring.errors import UsageError

if TYPE_CHECKING:
    from scoring.search.client import SearchClient
    from scoring.search.definitions import Plan


class Printer(Protocol):
    def say(self, text: str = "") -> None: ...


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="cva search", description="Pictures searchable by what is seen in them.")
    commands = result.add_subparsers(metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        # abbreviations would take --skill-key SECRET for the header's name
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False)

    _add_setup(verb("setup", "data source, index, skillset and indexer: show them or make them"))
    status = verb("status", "what the indexer's last run did (exit 1 if something failed)")
    status.set_defaults(run=run_status, long=True)
    query = verb("query", "documents with a label (exit 1 if there are none)")
    query.add_argument("--label", action="append", required=True, metavar="L", help="word for word; again: both")
    query.add_argument("--score", type=float, metavar="S", help="lowest score of an object with the label")
    query.add_argument("--top", type=int, default=50, metavar="N", help="documents shown at most (default 50)")
    query.set_defaults(run=run_query, long=True)
    for each in (status, query):
        _add_service(each)
    return result


def _add_service(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", required=True, metavar="NAME", help="of the index; the others are called after it")
    command.add_argument("--service", required=True, metavar="URL", help="https://NAME.search.windows.net")


def _add_setup(command: argparse.ArgumentParser) -> None:
    _add_service(command)
    add = command.add_argument
    add("--storage-resource-id", required=True, metavar="ID", help="of the storage account: /subscriptions/…")
    add("--container", required=True, metavar="C", help="the blob container that holds the pictures")
    add("--folder", default="", metavar="PATH", help="only this folder of the container")
    add("--skill-uri", required=True, metavar="URL", help="https://HOST/skill, where `cva serve` answers")
    add("--identity", default="system", metavar="system|ID", help="who reads the pictures: the search service's own"
        " identity, or a user-assigned one by its resource id (default system)")  # fmt: skip
    add("--skill-key-header", default="x-api-key", metavar="H", help="carries CVA_SKILL_KEY (default x-api-key)")
    add("--skill-audience", default="", metavar="api://APP", help="call the skill with the identity's token, no key")
    add("--per-image", action="store_true", help="one record a picture, for documents with very many pages")
    add("--per-page", action="store_true", help="a PDF's pages as pictures, not the pictures inside it")
    add("--extensions", metavar=".A,.B", help="files that are read (default: pictures and .pdf)")
    add("--image-side", type=int, metavar="PX", help="larger pictures are made smaller first (default 1024)")
    add("--batch-size", type=int, metavar="N", help="records a request (default 8)")
    add("--parallel", type=int, metavar="N", help="requests at once (default 2)")
    add("--timeout", type=int, metavar="S", help="seconds a request (default 60)")
    add("--every", type=int, metavar="MIN", help="run every so many minutes (default: only when asked)")
    add("--soft-delete", action="store_true", help="softly deleted blobs leave the index")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--dry-run", action="store_true", help="show the four definitions; nothing is sent")
    what.add_argument("--apply", action="store_true", help="make the service equal to them; twice changes nothing")
    add("--out", type=Path, metavar="DIR", help="with --dry-run: write one file for each")
    add("--run", dest="run_now", action="store_true", help="with --apply: start the indexer")
    add("--force", action="store_true", help="with --apply: send everything again, as after a key was changed")
    command.set_defaults(run=run_setup, long=True)


def run_setup(args: argparse.Namespace, out: Printer) -> dict[str, Any]:
    from scoring.search.definitions import definitions
    from scoring.search.uris import require_tls

    require_tls(args.service, "--service")
    if (args.out and not args.dry_run) or ((args.run_now or args.force) and not args.apply):
        raise UsageError("--out goes with --dry-run; --run and --force go with --apply")
    if args.dry_run:
        return _dry_run(definitions(_plan(args)), args.out, out)
    return _apply(args, out)


def run_status(args: argparse.Namespace, out: Printer) -> dict[str, Any]:
    """Sets `args.exit_code` to 1 where the last run failed in whole or in part."""
    from scoring.search.definitions import names
    from scoring.search.query import last_run, warnings_of

    status = _client(args).status(names(args.name)["indexers"])
    run, warnings = last_run(status), warnings_of(status)
    out.say(f"{names(args.name)['indexers']}: {run.status}, {run.done} documents, {run.failed} failed  {run.started}")
    for line in (*run.problems, *(f"warning: {each}" for each in warnings)):
        out.say(f"  {line}")
    args.exit_code = 0 if run.good else 1
    facts = {"status": run.status, "documents": run.done, "failed": run.failed, "started": run.started or None}
    return {"indexer": names(args.name)["indexers"], **facts, "errors": list(run.problems), "warnings": warnings}


def run_query(args: argparse.Namespace, out: Printer) -> dict[str, Any]:
    """Sets `args.exit_code` to 1 where nothing was found."""
    from scoring.search.query import by_labels, documents_of

    if not 1 <= args.top <= 1000:
        raise UsageError(f"expected --top from 1 to 1000, found {args.top}")
    if args.score is not None and not 0 <= args.score <= 1:
        raise UsageError(f"expected --score from 0 to 1, found {args.score}")
    query = by_labels(args.label, least_score=args.score, top=args.top)
    answer = _client(args).search(args.name, query)
    documents = documents_of(answer)
    for each in documents:
        out.say(f"  {each['metadata_storage_name']}  {', '.join(each['amllabel'])}")
    count = answer.get("@odata.count", len(documents))
    out.say(f"{count} documents with {' and '.join(args.label)}")
    args.exit_code = 0 if documents else 1
    return {"labels": args.label, "count": count, "documents": documents}


def _dry_run(wanted: Mapping[Any, dict[str, Any]], folder: Path | None, out: Printer) -> dict[str, Any]:
    for kind, definition in wanted.items():
        out.say(f"  {kind:<12} {definition['name']}")
    if folder is None:
        return dict(wanted)
    from scoring.files import write_json

    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{kind}.json" for kind in wanted]
    for path, definition in zip(files, wanted.values(), strict=True):
        write_json(path, definition)
    out.say(f"written to {folder}; the skill's key is a placeholder in them")
    return {"files": [str(path) for path in files]}


def _apply(args: argparse.Namespace, out: Printer) -> dict[str, Any]:
    from scoring.search.definitions import definitions, names
    from scoring.search.setup import apply

    plan = _plan(args, _skill_key(args))
    client = _client(args, secrets=(plan.skill_key,))
    changes = []
    for change in apply(client, definitions(plan), force=args.force):
        differing = f"  ({', '.join(change.differing[:5])})" if change.differing else ""
        out.say(f"  {change.kind:<12} {change.name:<30} {change.state}{differing}")
        changes.append({"kind": change.kind, "name": change.name, "state": change.state})
    indexer = names(args.name)["indexers"]
    if args.run_now:
        client.run(indexer)
        out.say(f"{indexer} started; `cva search status` says how it goes")
    return {"changes": changes, "started": bool(args.run_now)}


def _skill_key(args: argparse.Namespace) -> str:
    from scoring.search.client import plain

    key = os.environ.get("CVA_SKILL_KEY", "").strip()
    if not key and not args.skill_audience:
        raise UsageError(
            "expected the skill's key in CVA_SKILL_KEY, found nothing",
            hint="one of the keys of `cva serve`; or --skill-audience, to call the skill with an identity's token",
        )
    return plain(key, "CVA_SKILL_KEY")


def _plan(args: argparse.Namespace, skill_key: str = "") -> Plan:
    """Without a key, a placeholder stands for it."""
    from scoring.search.definitions import KEY_PLACEHOLDER, Plan

    optional = ("extensions", "image_side", "batch_size", "parallel", "timeout", "every")
    given = {name: getattr(args, name) for name in optional if getattr(args, name) is not None}
    return Plan(
        name=args.name,
        storage=args.storage_resource_id.rstrip("/;"),
        container=args.container,
        folder=args.folder.strip("/"),
        skill_uri=args.skill_uri,
        identity="" if args.identity == "system" else args.identity,
        skill_key=skill_key or KEY_PLACEHOLDER,
        skill_key_header=args.skill_key_header,
        skill_audience=args.skill_audience,
        per_image=args.per_image,
        per_page=args.per_page,
        soft_delete=args.soft_delete,
        **given,
    )


def _client(args: argparse.Namespace, secrets: tuple[str, ...] = ()) -> SearchClient:
    from scoring.search.client import Credential, SearchClient

    return SearchClient(args.service, Credential.of(os.environ), secrets=secrets)
