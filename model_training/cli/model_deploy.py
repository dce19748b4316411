"""`cva model deploy`, `cva model undeploy`: a registered version on a managed online endpoint of Azure ML, and off it.

Parses and prints.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from model_training.cli.output import Output
from scoring.edge.cli_registry import REFERENCE
from scoring.errors import UsageError

if TYPE_CHECKING:
    from model_training.workspaces.azureml.online import Deployed
    from model_training.workspaces.azureml.v2.client import Client
    from model_training.workspaces.azureml.workspace import AzureWorkspace
    from model_training.workspaces.base import Model

ENDPOINT = {"default": "", "metavar": "NAME", "help": "(default: the model's name)"}


def add_deploy(verbs: Any) -> None:
    command = verbs.add_parser(
        "deploy",
        help="on Azure: onto a managed online endpoint, which costs by the hour; its test is the golden images",
    )
    command.add_argument("model", help=f"{REFERENCE}; a bare name is the champion")
    command.add_argument("--endpoint", **ENDPOINT)
    command.add_argument("--size", help="of the machine (default Standard_DS3_v2)")
    command.add_argument("--instances", type=_count, default=1)
    command.add_argument("--authentication", choices=("aad_token", "key"), default="aad_token")
    command.add_argument(
        "--calls", type=_count, default=0, metavar="N", help="ask N golden images, over and over (default: each once)"
    )
    command.add_argument(
        "--again", action="store_true", help="anew beside it, even where that version serves: another --size"
    )
    command.add_argument(
        "--remove-previous", action="store_true", help="the model's other versions there, once this one gets the calls"
    )
    command.add_argument("--dry-run", action="store_true", help="say what would be deployed, and change nothing")
    command.set_defaults(run=deploy_model, long=True)


def add_undeploy(verbs: Any) -> None:
    command = verbs.add_parser("undeploy", help="on Azure: remove what gets no calls from a managed online endpoint")
    command.add_argument("model", help="NAME: every version that gets no calls; NAME:VERSION: that one")
    command.add_argument("--endpoint", **ENDPOINT)
    command.add_argument("--all", action="store_true", help="the whole endpoint, whoever calls it; its address is gone")
    command.set_defaults(run=undeploy_model, long=True)


def deploy_model(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.azureml.online import OnlineRequest, deploy

    workspace = _workspace()
    model = workspace.models.get(args.model)
    request = OnlineRequest(
        model.name,
        model.version,
        model.path,
        args.endpoint,
        instances=args.instances,
        authentication=args.authentication,
        calls=args.calls,
        again=args.again,
        remove_previous=args.remove_previous,
    )
    if args.size:
        request = replace(request, size=args.size)
    where = f"{request.instances} x {request.size}"
    if args.dry_run:
        out.say(f"would deploy {model.reference} on {where}; nothing was changed")
        return {"dry_run": True, "model": model.name, "version": model.version, "size": request.size}
    out.say(f"{model.reference} on {where}; this takes about ten minutes")
    done = deploy(_client(workspace), request, lambda event: out.say(f"  {event.text}"))
    _say(done, model, args.endpoint, out)
    return {"model": model.name, "version": model.version, **asdict(done)}


def undeploy_model(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.azureml.online import remove_endpoint, undeploy
    from scoring.edge.registry import parse_reference

    name, word = parse_reference(args.model)
    if word and (args.all or not word.isdigit()):
        raise UsageError(f"expected NAME, or NAME:VERSION without --all, found {args.model!r}")
    client = _client(_workspace())
    if args.all:
        endpoint = remove_endpoint(client, args.endpoint or name)
        out.say(f"the endpoint {endpoint} is removed with all that was on it")
        return {"model": name, "endpoint": endpoint, "removed": "all"}
    removed = list(undeploy(client, name, int(word) if word else None, endpoint=args.endpoint))
    out.say(f"removed: {', '.join(removed)}" if removed else "nothing to remove: all that is there gets calls")
    return {"model": name, "removed": removed}


def _workspace() -> AzureWorkspace:
    """Always by SDK v2, which alone has such endpoints: a model that v1 registered is in the same registry."""
    from model_training.settings import load_settings
    from model_training.workspaces.open import open_azure

    return open_azure(replace(load_settings(), azureml_sdk="v2"))


def _client(workspace: AzureWorkspace) -> Client:
    from model_training.workspaces.azureml.v2 import V2Service

    assert isinstance(workspace.service, V2Service)
    return workspace.service.client


def _say(done: Deployed, model: Model, endpoint: str, out: Output) -> None:
    timing, also = done.timing, f" --endpoint {endpoint}" if endpoint else ""
    out.say(f"{done.scoring_url} answers {timing.calls} golden images as expected")
    out.say(
        f"  one after another, from here: p50 {timing.p50_ms:g} ms, p95 {timing.p95_ms:g} ms,"
        f" {timing.images_per_second:g} images/s"
    )
    for each in done.kept:
        out.say(f"{each} stays without calls and costs as before; back to it: cva model deploy {each}{also}")
    if done.kept:
        out.say(f"remove what gets no calls: cva model undeploy {model.name}{also}")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text!r}")
    return int(text)
