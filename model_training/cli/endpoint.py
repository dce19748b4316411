"""`cva endpoint …`: parses and prints. What is done lies in the workspace."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.cli.endpoint_submit import add_submit
from model_training.cli.output import Output
from model_training.workspaces.base import TRAINING
from scoring.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from model_training.settings import Settings

PORT = 8765
PARAMETERS = ("dataset_name", "model_name", "cluster")
BATCH_SUFFIX = "batch_scoring"
BATCH_DESCRIPTION = "Scores every image of a data set with a registered model"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cva endpoint", description="published training pipelines, by name and version")
    verbs = top.add_subparsers(metavar="VERB")
    _add_publish(verbs)
    verbs.add_parser("list", help="every endpoint").set_defaults(run=list_endpoints)
    show = verbs.add_parser("show", help="versions of one endpoint, and how to call it")
    show.add_argument("name", nargs="?", help="(default: the only one, or AUTOML_PIPELINE_NAME)")
    show.set_defaults(run=show_endpoint)
    default = verbs.add_parser("set-default", help="choose the version that submissions use; back and forth")
    default.add_argument("name")
    default.add_argument("version", type=int)
    default.set_defaults(run=set_default)
    add_submit(verbs)
    serve = verbs.add_parser("serve", help="answer the REST call; this machine only, unless CVA_KEYS_FILE names keys")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=PORT, help=f"(default {PORT}; 0 finds a free one)")
    serve.set_defaults(run=serve_endpoints)
    return top


def _add_publish(verbs: Any) -> None:
    command = verbs.add_parser("publish", help="add a version, from a job file")
    command.add_argument("--name", help="of the endpoint (default: AUTOML_PIPELINE_NAME)")
    command.add_argument("--template", type=Path, help="a job file (default: AUTOML_JOB_TEMPLATE)")
    command.add_argument("--description", help="(default: AUTOML_PIPELINE_DESCRIPTION)")
    command.add_argument("--no-default", action="store_true", help="leave the default version as it is")
    command.add_argument("--kind", choices=("training", "batch-scoring"), default="training", help="what it does")
    command.add_argument("--property", action="append", default=[], metavar="KEY=VALUE", help="kept with the version")
    command.set_defaults(run=publish, long=True)


def publish(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.provenance import git_commit
    from model_training.settings import load_settings
    from model_training.workspaces.open import is_azure, open_workspace

    settings = load_settings()
    template, path = _template(args, settings)
    if is_azure():
        _say_of_azure(settings, template, args.kind, out)
    endpoints = open_workspace().endpoints
    published = endpoints.publish(
        _endpoint_name(args, settings),
        template,
        description=_description(args, settings),
        git_commit=git_commit(path.absolute().parent),
        set_default=not args.no_default,
        properties={**({"template": path.name} if template else {}), **_properties(args.property)},
        kind=args.kind,
    )
    endpoint = endpoints.get(published.endpoint)
    role = (
        "the default" if endpoint.default_version == published.version else f"the default is {endpoint.default_version}"
    )
    out.say(
        f"published {published.endpoint} version {published.version} ({role}) from {path if template else path.name}"
    )
    out.say(f"next: cva endpoint submit --endpoint {published.endpoint} --dataset-name NAME --model-name NAME")
    return {
        "endpoint": published.endpoint,
        "version": published.version,
        "default_version": endpoint.default_version,
        "git_commit": published.git_commit,
    }


def _template(args: argparse.Namespace, settings: Settings) -> tuple[str, Path]:
    """The job file's text and where it lies; batch scoring has none, so only where the code lies."""
    if args.kind == "batch-scoring":
        if args.template:
            raise UsageError("--template is a training job's", hint="leave it out for --kind batch-scoring")
        return "", Path(__file__).parents[1]
    path = args.template or settings.job_template_path
    if not path.is_file():
        raise NotFoundError(f"there is no job file {path}", hint="give --template FILE")
    return path.read_text(encoding="utf-8"), path


def _endpoint_name(args: argparse.Namespace, settings: Settings) -> str:
    return str(args.name or settings.automl_pipeline_name + ("" if args.kind == "training" else f"_{BATCH_SUFFIX}"))


def _description(args: argparse.Namespace, settings: Settings) -> str:
    if args.description is not None:
        return str(args.description)
    return settings.automl_pipeline_description if args.kind == "training" else BATCH_DESCRIPTION


def _say_of_azure(settings: Settings, template: str, kind: str, out: Output) -> None:
    """What a person should know before a version is there."""
    from model_training.publishing import checkout, untracked

    if left := untracked(checkout(settings)):
        out.warn(f"git does not know {', '.join(left)}, so it is not published; git add what the step needs")
    if settings.azureml_sdk == "v1":
        out.warn("SDK v1's support ended on 30 June 2026; endpoints go on working. AZUREML_SDK: v2 is its successor")
    if kind == "training" and "yolov5" in template:
        out.warn(
            "the service's yolov5 derives from AGPL code: for devices that you ship choose fasterrcnn_* or retinanet_*"
        )


def list_endpoints(args: argparse.Namespace, out: Output) -> list[dict[str, Any]]:
    from model_training.workspaces.open import open_workspace

    endpoints = open_workspace().endpoints.list()
    if endpoints:
        rows = [[each.name, each.default_version, len(each.versions), each.description] for each in endpoints]
        out.table(["endpoint", "default", "versions", "description"], rows)
    else:
        out.say("no endpoint yet; publish one: cva endpoint publish")
    return [
        {"endpoint": each.name, "default_version": each.default_version, "versions": list(each.versions)}
        for each in endpoints
    ]


def show_endpoint(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.cli.endpoint_submit import choose_endpoint
    from model_training.workspaces.open import open_workspace

    endpoints = open_workspace().endpoints
    endpoint = endpoints.get(choose_endpoint(endpoints, args.name))
    versions = [endpoints.version(endpoint.name, number) for number in endpoint.versions]
    out.say(f"{endpoint.name}: {endpoint.description}")
    out.table(
        ["version", "", "published", "commit", "description"],
        [
            [
                v.version,
                "default" if v.version == endpoint.default_version else "",
                v.created_at[:19],
                v.git_commit[:10],
                v.description,
            ]
            for v in reversed(versions)
        ],
    )
    kind = endpoints.version(endpoint.name).kind
    parameters = PARAMETERS if kind == TRAINING else PARAMETERS[:2]
    out.say(f"parameters: {', '.join(parameters)}{' (compute_name)' if kind == TRAINING else ''}")
    out.say(f"REST: POST {endpoints.rest_url(endpoint.name)}")
    return {
        "endpoint": endpoint.name,
        "default_version": endpoint.default_version,
        "submit": endpoints.rest_url(endpoint.name),
        "kind": kind,
        "parameters": list(parameters),
        "versions": [
            {
                "version": v.version,
                "created_at": v.created_at,
                "git_commit": v.git_commit,
                "description": v.description,
                "properties": dict(v.properties),
                "template": v.template,
            }
            for v in versions
        ],
    }


def set_default(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.open import open_workspace

    endpoints = open_workspace().endpoints
    before = endpoints.get(args.name).default_version
    after = endpoints.set_default(args.name, args.version).default_version
    out.say(f"{args.name}: the default is version {after} (before: {before})")
    return {"endpoint": args.name, "default_version": after, "before": before}


def serve_endpoints(args: argparse.Namespace, out: Output) -> None:
    from model_training.workspaces.local import LocalWorkspace
    from model_training.workspaces.local.endpoint_api import EndpointApi, submit_path
    from model_training.workspaces.local.endpoint_server import make_server
    from scoring.keys import keys_file, load_keys

    workspace = LocalWorkspace.open()
    file = keys_file()
    api = EndpointApi(workspace, load_keys(file) if file else ())
    with make_server(args.host, args.port, api, out.say) as server:
        who = "callers with a key" if api.keys else "programs of this machine"
        out.say(f"listening on {server.url} for {who}; ctrl-C ends it, runs go on")
        for endpoint in workspace.endpoints.list():
            out.say(f"  POST {server.url}{submit_path(endpoint.name)}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            out.say("stopped")


def _properties(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise UsageError(f"--property {wrong[0]!r}: expected KEY=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)
