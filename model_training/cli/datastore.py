"""`cva datastore …`: named folders of images. Parses and prints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from model_training.cli.output import Output


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cva datastore", description="named places of images")
    verbs = top.add_subparsers(metavar="VERB")
    add = verbs.add_parser("add", help="name a folder, such as a mounted container")
    add.add_argument("name")
    add.add_argument(
        "folder", help="a folder of this machine, or on Azure https://ACCOUNT.blob.core.windows.net/CONTAINER"
    )
    add.set_defaults(run=add_datastore)
    listing = verbs.add_parser("list", help="names and folders")
    listing.set_defaults(run=list_datastores)
    browse = verbs.add_parser("browse", help="files under a datastore, images with their size")
    browse.add_argument("name")
    browse.add_argument("pattern", nargs="?", default="**/*", help="such as '2024/**/*.jpg' (default: every file)")
    browse.add_argument("--limit", type=int, default=50)
    browse.set_defaults(run=browse_datastore)
    return top


def add_datastore(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.open import open_workspace

    store = open_workspace().datastores.add(args.name, args.folder)
    out.say(f"datastore {store.name}: {store.root}")
    out.say(
        f"its images are azureml://datastores/{store.name}/paths/… and AmlDatastore://{store.name}/… in labelled data"
    )
    return {"name": store.name, "root": store.root}


def list_datastores(args: argparse.Namespace, out: Output) -> list[dict[str, Any]]:
    from model_training.workspaces.open import open_workspace

    stores = open_workspace().datastores.list()
    if stores:
        rows = [[s.name, s.root, "" if "://" in s.root else "yes" if Path(s.root).is_dir() else "no"] for s in stores]
        out.table(["name", "folder or container", "there"], rows)
    else:
        out.say("no datastores yet; `cva datastore add NAME FOLDER` names one")
    return [{"name": store.name, "root": store.root} for store in stores]


def browse_datastore(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.open import open_workspace

    datastores = open_workspace().datastores
    found = datastores.browse(args.name, args.pattern, args.limit)
    entries = [datastores.preview(args.name, path) for path in found]
    if entries:
        out.table(["path", "bytes", "pixels"], [[e["path"], e["bytes"], _pixels(e)] for e in entries])
    else:
        out.say(f"nothing in {args.name} matches {args.pattern!r}")
    if len(found) == args.limit:
        out.say(f"the first {args.limit}; --limit shows more")
    return {"datastore": args.name, "pattern": args.pattern, "files": entries}


def _pixels(entry: dict[str, Any]) -> str:
    return f"{entry['width']} x {entry['height']}" if entry["width"] else "-"
