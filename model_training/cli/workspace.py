"""`cva workspace …`: parses and prints. What is done lies in the workspace's `doctor` and `gc`."""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from model_training.cli.output import Output
from model_training.workspaces.findings import FAIL, Finding

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cva workspace", description="the folder where everything lives")
    verbs = top.add_subparsers(metavar="VERB")
    verbs.add_parser("info", help="where it is and what is in it").set_defaults(run=info)
    check = verbs.add_parser(
        "check", help="is the Azure ML workspace of the settings ready; exit 1 if something is not"
    )
    check.set_defaults(run=check_azure)
    doctor = verbs.add_parser("doctor", help="is it well, and what to do if not; exit 1 if something is broken")
    doctor.add_argument("--repair", action="store_true", help="finish what was interrupted, make MLflow agree again")
    doctor.add_argument("--images", type=int, default=200, help="how many images are hashed (default 200)")
    doctor.set_defaults(run=examine)
    gc = verbs.add_parser("gc", help="remove what nothing refers to; registered models always stay")
    gc.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    gc.add_argument("--keep-runs", type=int, default=10, help="the newest runs that stay whole (default 10)")
    gc.set_defaults(run=collect)
    return top


def info(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.files import read_json
    from model_training.workspaces.local import LocalWorkspace
    from model_training.workspaces.local.gc import size

    workspace = LocalWorkspace.open()
    layout = workspace.layout
    facts = read_json(layout.info, "a workspace's description")
    counts = {
        "datasets": len(workspace.datasets.list()),
        "models": len(workspace.models.list()),
        "endpoints": len(workspace.endpoints.list()),
        "runs": len(workspace.runs.list()),
    }
    folders = (layout.images, layout.datasets, layout.models, layout.endpoints, layout.runs)
    sizes = {folder.name: size(folder) for folder in folders} | {"mlflow.db": size(layout.mlflow)}
    free = shutil.disk_usage(layout.root).free
    out.say(f"{layout.root}   schema {facts['schema']}, made {facts['created_at'][:19]}Z")
    out.table(["", "versions", "MiB"], [[name, counts.get(name), size / 2**20] for name, size in sizes.items()])
    out.say(f"  {free / 2**30:.1f} GiB free")
    command = f"cd {shlex.quote(str(layout.root))} && mlflow ui --backend-store-uri sqlite:///mlflow.db"
    out.say(f"runs and models in a browser: {command}")
    return {
        "path": str(layout.root),
        **facts,
        "counts": counts,
        "bytes": sizes,
        "free_bytes": free,
        "mlflow_ui": command,
    }


def check_azure(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    """Always about Azure: a folder has `doctor`."""
    from model_training.settings import load_settings
    from model_training.workspaces.azureml.check import examine as look
    from model_training.workspaces.open import open_azure

    settings = load_settings()
    findings = look(open_azure(settings).service, settings)
    return {"workspace": settings.workspace_name, **_tell(findings, args, out)}


def examine(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.local import LocalWorkspace, doctor

    workspace = LocalWorkspace.open()
    if args.repair:
        doctor.repair(workspace)
    return {"path": str(workspace.path), **_tell(doctor.examine(workspace, sample=args.images), args, out)}


def _tell(findings: Sequence[Finding], args: argparse.Namespace, out: Output) -> dict[str, Any]:
    for each in findings:
        out.say(f"{MARKS[each.status]}  {each.check}: {each.found}")
        if each.todo:
            out.say(f"      -> {each.todo}")
    broken = sum(each.status == FAIL for each in findings)
    out.say(f"{broken} broken" if broken else "all well")
    args.exit_code = 1 if broken else 0
    return {"broken": broken, "checks": [asdict(each) for each in findings]}


def collect(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.local import LocalWorkspace
    from model_training.workspaces.local.gc import find_garbage, remove
    from scoring.errors import UsageError

    if args.keep_runs < 0:
        raise UsageError(f"--keep-runs {args.keep_runs}: expected 0 or more")
    workspace = LocalWorkspace.open()
    with workspace.layout.lock.hold():
        garbage = find_garbage(workspace.layout, keep_runs=args.keep_runs)
        freed = sum(each.bytes for each in garbage) if args.dry_run else remove(garbage)
    for each in garbage if out.verbose else garbage[:20]:
        out.say(f"  {each.path.relative_to(workspace.path)}   {each.why}")
    if len(garbage) > 20 and not out.verbose:
        out.say(f"  … and {len(garbage) - 20} more (-v lists them)")
    out.say(f"{'would free' if args.dry_run else 'freed'} {freed / 2**20:.1f} MiB in {len(garbage)} places")
    paths = [str(each.path.relative_to(workspace.path)) for each in garbage]
    return {"dry_run": args.dry_run, "bytes": freed, "removed": paths}
