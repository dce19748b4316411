"""`cva cluster …`: parses and prints the compute that the workspace has."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from model_training.cli.output import Output


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cva cluster", description="named compute that trials run on")
    verbs = top.add_subparsers(metavar="VERB")
    verbs.add_parser("list", help="every cluster: cores, memory, GPUs").set_defaults(run=list_clusters)
    return top


def list_clusters(args: argparse.Namespace, out: Output) -> list[dict[str, Any]]:
    from model_training.workspaces.open import is_azure

    if is_azure():
        return _list_azure(out)
    from model_training.workspaces.local import LocalWorkspace

    found = LocalWorkspace.open().automl.clusters()
    rows = [
        [each.name, each.cores, f"{each.memory_bytes / 2**30:.1f} GiB", "; ".join(each.gpus) or "none"]
        for each in found
    ]
    out.table(["cluster", "cores", "memory", "GPUs"], rows)
    return [asdict(each) for each in found]


def _list_azure(out: Output) -> list[dict[str, Any]]:
    from model_training.settings import load_settings
    from model_training.workspaces.open import open_azure

    found = open_azure(load_settings()).service.clusters()
    rows = [[each.name, each.size, f"{each.min_nodes} to {each.max_nodes}", each.state] for each in found]
    out.table(["cluster", "size", "nodes", "state"], rows)
    return [asdict(each) for each in found]
