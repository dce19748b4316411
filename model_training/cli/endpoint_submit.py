"""`cva endpoint submit`: one run of a published pipeline, here or in a process of its own, told as it happens."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from model_training.cli.output import Output
from model_training.workspaces.base import TRAINING
from scoring.errors import NotFoundError

if TYPE_CHECKING:
    from model_training.workspaces.base import Endpoints, PublishedPipeline, Run
    from model_training.workspaces.local import LocalWorkspace


def add_submit(verbs: Any) -> None:
    command = verbs.add_parser("submit", help="train on a dataset and register the best model")
    command.add_argument("--endpoint", help="(default: the only one, or AUTOML_PIPELINE_NAME)")
    command.add_argument("--dataset-name", required=True, help="NAME, NAME:3 or NAME@latest")
    command.add_argument("--model-name", required=True, help="that the best model is registered as")
    command.add_argument("--cluster", help="see `cva cluster list` (default local, on Azure AML_COMPUTE_CLUSTER_NAME)")
    command.add_argument("--compute-name", help="the older name of --cluster")
    command.add_argument("--experiment", help="that the run belongs to (default: the template's)")
    command.add_argument("--pipeline-version", type=int, help="(default: the endpoint's default version)")
    command.add_argument("--register", choices=("always", "if-better"), help="(default always)")
    command.add_argument("--budget-minutes", type=float, help="wall clock of the sweep; sizes follow from it")
    command.add_argument("--model-size", metavar="SIZE", help="pico, nano, small, medium, large or extra_large")
    wait = command.add_mutually_exclusive_group()
    wait.add_argument("--no-wait", action="store_true", help="start it in a process of its own and return")
    wait.add_argument("--wait", action="store_true", help="on Azure: follow it to its end; locally that is usual")
    command.add_argument("--dry-run", action="store_true", help="check everything and start nothing")
    command.add_argument("--new", action="store_true", help="do not go on with an interrupted run of the same")
    command.set_defaults(run=submit, long=True)
    execute = verbs.add_parser("execute")  # what a detached run is started with; not for people
    execute.add_argument("run_id")
    execute.add_argument("--lock", type=int, help="open descriptor of the run's lock")
    execute.set_defaults(run=execute_run, long=True)


def submit(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.open import is_azure

    if is_azure():
        from model_training.cli.endpoint_azure import submit_there

        return submit_there(args, out)
    from model_training.cli.progress import console
    from model_training.workspaces.local import LocalWorkspace
    from model_training.workspaces.local.submissions import Submission, check, create, execute, start

    workspace = LocalWorkspace.open()
    published = workspace.endpoints.version(choose_endpoint(workspace.endpoints, args.endpoint), args.pipeline_version)
    asked = Submission(
        args.experiment or experiment_of(published),
        args.dataset_name,
        args.model_name,
        cluster_of(args, out) or "local",
        args.register or "always",
        args.budget_minutes,
        args.new,
        model_size=args.model_size or "",
    )
    if args.budget_minutes is None and published.kind == TRAINING:
        from model_training.cli.job import warn_of_hours

        warn_of_hours(out)
    if args.dry_run:
        dataset = check(workspace, published, asked)
        out.say(
            f"would run {published.endpoint} version {published.version} on the {dataset.images} images"
            f" of {dataset.reference}"
        )
        if published.kind == TRAINING:
            out.say(f"and register the best model as {asked.model_name}; nothing was started")
        return {
            "dry_run": True,
            "endpoint": published.endpoint,
            "version": published.version,
            "dataset": dataset.reference,
        }
    run = create(workspace, published, asked)
    out.say(f"run {run.id}: {published.endpoint} version {published.version} on {run.parameters['dataset']}")
    if args.no_wait:
        run = start(workspace, run)
        out.say(f"it goes on by itself; see: cva job show {run.id}")
        return {"run": run.id, "status": run.status, "paths": {"run": str(run.folder)}}
    return _ended(workspace, execute(workspace, run.id, console(out)), out)


def execute_run(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.local import LocalWorkspace
    from model_training.workspaces.local.submissions import execute

    workspace = LocalWorkspace.open()
    return _ended(workspace, execute(workspace, args.run_id, lock=args.lock), out)


def cluster_of(args: argparse.Namespace, out: Output) -> str:
    if args.compute_name:
        out.warn("--compute-name is the older name of --cluster")
    return str(args.cluster or args.compute_name or "")


def experiment_of(published: PublishedPipeline) -> str:
    """The template's, else the endpoint's name."""
    from model_training.jobs.load import parse_job

    if not published.template:
        return published.endpoint
    # for Azure: what only Azure can run is no fault of the name; running it here checks again
    template = parse_job(published.template, f"{published.endpoint} version {published.version}", target="azure")
    return template.experiment_name or published.endpoint


def choose_endpoint(endpoints: Endpoints, name: str | None) -> str:
    """The one that is named, the only one, or the settings' one. Raises: NotFoundError."""
    from model_training.settings import load_settings

    known = [endpoint.name for endpoint in endpoints.list()]
    if name:
        return name
    if len(known) == 1:
        return known[0]
    usual = load_settings().automl_pipeline_name
    if usual in known:
        return usual
    if not known:
        raise NotFoundError("nothing is published yet", hint="publish the training pipeline: cva endpoint publish")
    raise NotFoundError(f"there are several endpoints: {', '.join(known)}", hint="choose one with --endpoint")


def _ended(workspace: LocalWorkspace, run: Run, out: Output) -> dict[str, Any]:
    """What people read last, and the JSON line."""
    result = dict(run.result)
    if "predictions" in result:
        return _scored(run, result, out)
    paths = {"run": str(run.folder), "report": str(run.folder / result.pop("report"))}
    if result.get("model"):
        model = workspace.models.get(f"{result['model']}:{result['version']}")
        paths["model"] = str(model.path)
        out.say(f"\n{model.reference}{' (champion)' if model.champion else ''}: {metrics_text(result['metrics'])}")
        out.say(f"plots: {paths['report']}")
        out.say(f"next: cva model show {model.reference}   |   cva score PHOTO --model {model.name}")
    else:
        out.say(f"\nnot registered: {result['decision']['reason']}")
    return {"run": run.id, "status": run.status, **result, "paths": paths}


def _scored(run: Run, result: dict[str, Any], out: Output) -> dict[str, Any]:
    folder = run.folder / str(result.pop("predictions"))
    failed = f", {result['failed']} failed" if result["failed"] else ""
    out.say(f"\n{result['model']}:{result['version']} on {result['dataset']}: {result['images']} images{failed}")
    out.say(f"predictions: {folder / 'predictions.jsonl'}")
    return {
        "run": run.id,
        "status": run.status,
        **result,
        "paths": {"run": str(run.folder), "predictions": str(folder)},
    }


def metrics_text(metrics: dict[str, Any]) -> str:
    """`mean average precision 0.93, precision 0.9, recall 0.88 on 60 test images`."""
    named = (("mean average precision", "mean_average_precision"), ("precision", "precision"), ("recall", "recall"))
    words = [f"{name} {_number(metrics.get(key))}" for name, key in named]
    return f"{', '.join(words)} on {metrics.get('images', '?')} {metrics.get('split', '')} images"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "undefined"
