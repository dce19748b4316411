"""`cva model deploy`: a registered version on a managed online endpoint of Azure ML. Parses and prints."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import Any

from model_training.cli.output import Output
from scoring.edge.cli_registry import REFERENCE


def add_deploy(verbs: Any) -> None:
    command = verbs.add_parser(
        "deploy",
        help="on Azure: onto a managed online endpoint, which costs by the hour; its test is the golden images",
    )
    command.add_argument("model", help=f"{REFERENCE}; a bare name is the champion")
    command.add_argument("--endpoint", default="", help="(default: the model's name)")
    command.add_argument("--size", help="of the machine (default Standard_DS3_v2)")
    command.add_argument("--instances", type=int, default=1)
    command.add_argument("--authentication", choices=("aad_token", "key"), default="aad_token")
    command.add_argument("--dry-run", action="store_true", help="say what would be deployed, and change nothing")
    command.set_defaults(run=deploy_model, long=True)


def deploy_model(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    """Always by SDK v2, which alone has such endpoints: a model that v1 registered is in the same registry."""
    from model_training.settings import load_settings
    from model_training.workspaces.azureml.online import OnlineRequest, deploy
    from model_training.workspaces.azureml.v2 import V2Service
    from model_training.workspaces.open import open_azure

    workspace = open_azure(replace(load_settings(), azureml_sdk="v2"))
    model = workspace.models.get(args.model)
    request = OnlineRequest(
        model.name,
        model.version,
        model.path,
        args.endpoint,
        instances=args.instances,
        authentication=args.authentication,
    )
    if args.size:
        request = replace(request, size=args.size)
    where = f"{request.instances} x {request.size}"
    if args.dry_run:
        out.say(f"would deploy {model.reference} on {where}; nothing was changed")
        return {"dry_run": True, "model": model.name, "version": model.version, "size": request.size}
    assert isinstance(workspace.service, V2Service)
    out.say(f"{model.reference} on {where}; this takes about ten minutes")
    done = deploy(workspace.service.client, request, lambda event: out.say(f"  {event.text}"))
    out.say(f"{done.scoring_url} answers {done.tested} golden images as expected")
    return {"model": model.name, "version": model.version, **asdict(done)}
