"""`cva endpoint submit` and following a run on Azure ML: one call, and then only questions. Parses and prints."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from model_training.cli.endpoint_submit import choose_endpoint, cluster_of, experiment_of, metrics_text
from model_training.cli.output import Output
from model_training.workspaces.base import TRAINING
from model_training.workspaces.run_states import ENDED
from scoring.errors import CancelledError, OfflineError, TrainingError, UnavailableError, UsageError

if TYPE_CHECKING:
    from model_training.workspaces.azureml.workspace import AzureWorkspace
    from model_training.workspaces.base import PublishedPipeline, Run

SECONDS = 30.0  # between two questions
FIXED = ("register", "budget_minutes", "model_size", "new")  # belong to a local run; there the job file says it


def submit_there(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    """Returns at once, unless --wait: a federated login is good for minutes, training takes hours."""
    from model_training.settings import load_settings
    from model_training.workspaces.open import open_azure

    _refuse_local_options(args)
    settings = load_settings()
    workspace = open_azure(settings)
    endpoints = workspace.endpoints
    published = endpoints.version(choose_endpoint(endpoints, args.endpoint), args.pipeline_version)
    cluster = cluster_of(args, out) or settings.aml_compute_cluster_name
    if args.dry_run:
        return _plan(workspace, published, cluster, args, out)
    run = endpoints.submit(
        published.endpoint,
        experiment=args.experiment or experiment_of(published),
        dataset_name=args.dataset_name,
        model_name=args.model_name,
        cluster=cluster,
        version=args.pipeline_version,
    )
    out.say(f"run {run.id}: {published.endpoint} version {published.version} on {args.dataset_name}")
    link = _link(workspace, run.id)
    if link:
        out.say(link)
    out.say(f"it goes on by itself; see: cva job show {run.id} --workspace azureml")
    if args.wait:
        run = follow(workspace, run.id, out, SECONDS)
    return {
        "run": run.id,
        "status": run.status,
        "endpoint": published.endpoint,
        "endpoint_version": published.version,
        **run.result,
        "url": link,
    }


def _link(workspace: AzureWorkspace, run_id: str) -> str:
    """Where the studio shows it; the run is submitted, and this is no reason to say that it failed."""
    try:
        return workspace.service.run(run_id).portal_url
    except (OfflineError, UnavailableError):
        return ""


def follow(workspace: AzureWorkspace, run_id: str, out: Output, seconds: float) -> Run:
    """Ask until it has ended, and say each change.

    Raises: TrainingError where it failed; CancelledError where a person stops waiting, which does not stop the run.
    """
    try:
        run = _ended(workspace, run_id, out, seconds)
    except KeyboardInterrupt as stop:
        hint = f"see, or stop it: cva job show|cancel {run_id} --workspace azureml"
        raise CancelledError(f"run {run_id} goes on; nothing waits for it any more", hint=hint) from stop
    if run.status != "Completed":
        raise TrainingError(
            f"run {run.id} {run.status.lower()}: {run.error or 'see its log'}",
            hint=f"cva job show {run.id} --workspace azureml",
        )
    if "predictions" in run.result:
        out.say(f"predictions: {run.result['predictions']}")
    elif run.result.get("model"):
        out.say(f"{run.result['model']}:{run.result['version']}: {metrics_text(run.result.get('metrics', {}))}")
    return run


def _ended(workspace: AzureWorkspace, run_id: str, out: Output, seconds: float) -> Run:
    before = ""
    while True:
        wait = seconds
        try:
            run = workspace.runs.get(run_id)
        except (OfflineError, UnavailableError) as error:
            out.warn(f"{error.message}; asking again")
            wait = max(seconds, getattr(error, "retry_after", 0))
        else:
            if run.status != before:
                out.say(f"{time.strftime('%H:%M:%S')} {run.status}")
                before = run.status
            if run.status in ENDED:
                return run
        time.sleep(wait)


def _plan(
    workspace: AzureWorkspace, published: PublishedPipeline, cluster: str, args: argparse.Namespace, out: Output
) -> dict[str, Any]:
    """Everything that a submission checks. Raises: NotFoundError, UsageError."""
    from model_training.workspaces.azureml.naming import check_azure_name

    check_azure_name(args.experiment or experiment_of(published), "experiment")
    dataset = workspace.datasets.find(args.dataset_name)
    found = {"dataset": f"{dataset.name}:{dataset.version}", "model": args.model_name}
    if published.kind == TRAINING:
        check_azure_name(args.model_name, "model")
        workspace.automl.check(cluster)
        found["cluster"] = cluster
    else:
        workspace.models.find(args.model_name)
    said = ", ".join(f"{name} {value}" for name, value in found.items())
    out.say(f"would run {published.endpoint} version {published.version}: {said}; nothing was started")
    return {"dry_run": True, "endpoint": published.endpoint, "version": published.version, **found}


def _refuse_local_options(args: argparse.Namespace) -> None:
    given = [f"--{name.replace('_', '-')}" for name in FIXED if getattr(args, name)]
    if given:
        raise UsageError(
            f"{', '.join(given)}: only for runs of this machine",
            hint="on Azure the job file that the endpoint was published with says it (limits, search_space)",
        )
