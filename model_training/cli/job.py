"""`cva job …`: AutoML image jobs. Parses and prints; the work is in `jobs/` and `sweep/`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.cli.output import Output, shown
from scoring.errors import UsageError

if TYPE_CHECKING:
    from model_training.job_run import Finished
    from model_training.jobs.data import JobData
    from model_training.jobs.spec import JobSpec
    from model_training.workspaces.base import Run

LOG_LINES = 10  # that `show` prints; -v prints all


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cva job", description="AutoML image jobs: check, run, look, cancel")
    verbs = top.add_subparsers(metavar="VERB")
    validate = verbs.add_parser("validate", help="check a job file and print its settings; costs nothing")
    validate.add_argument("file", type=Path, help="a job file (Azure ML's CLI v2 AutoML image YAML)")
    validate.add_argument("--for", dest="target", choices=("local", "azure"), default="local", help="where it will run")
    _add_defaults(validate)
    validate.set_defaults(run=validate_job)
    _add_run(verbs)
    listing = verbs.add_parser("list", help="every run, the newest first")
    listing.set_defaults(run=list_runs)
    show = verbs.add_parser("show", help="one run: status, leaderboard, the end of its log")
    show.add_argument("id", metavar="RUN")
    show.set_defaults(run=show_run)
    cancel = verbs.add_parser("cancel", help="ask a run to stop; what is done stays")
    cancel.add_argument("id", metavar="RUN")
    cancel.set_defaults(run=cancel_run)
    return top


def _add_run(verbs: Any) -> None:
    run = verbs.add_parser("run", help="train on this machine; the same command again goes on after an interruption")
    run.add_argument("file", type=Path, help="a job file (Azure ML's CLI v2 AutoML image YAML)")
    run.add_argument("--test-data", default="", help="measure the winner on these images: a dataset or a path")
    run.add_argument("--budget-minutes", type=_positive, help="wall clock of the whole sweep; sizes follow from it")
    run.add_argument("--budget-cpu-seconds", type=_positive, help="CPU time of each trial; sizes follow from it")
    run.add_argument("--max-trials", type=int, help="instead of the job's limit")
    run.add_argument("--dry-run", action="store_true", help="check everything and start nothing")
    run.add_argument("--new", action="store_true", help="do not go on with an interrupted run of the same job")
    _add_defaults(run)
    run.set_defaults(run=run_job_file, long=True)


def _add_defaults(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--defaults",
        choices=("algorithm", "azure"),
        default="algorithm",
        help="whose values fill what the job leaves out",
    )


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number greater than 0, found {text}")
    return value


def validate_job(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.jobs.load import load_job

    job = load_job(args.file, target=args.target, defaults=args.defaults)
    result = _say_settings(job, out)
    where = "this machine" if args.target == "local" else "Azure ML"
    out.say(f"{args.file} is a job that {where} can run")
    return {"valid": True, "for": args.target, "warnings": list(job.warnings), **result}


def _say_settings(job: JobSpec, out: Output) -> dict[str, Any]:
    from model_training.jobs.explain import hyperparameter_settings, job_settings

    for warning in job.warnings:
        out.warn(warning)
    settings, entries = job_settings(job), hyperparameter_settings(job)
    out.table(["job", "value"], [[name, _plain(value)] for name, value in settings.items() if value not in (None, "")])
    out.say()
    out.table(["hyperparameter", "value", "from"], [[entry.name, entry.text, entry.source] for entry in entries])
    out.say()
    return {
        **settings,
        "hyperparameters": {entry.name: {"value": entry.value, "from": entry.source} for entry in entries},
    }


def _plain(value: Any) -> str:
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)


def run_job_file(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.cli.progress import console
    from model_training.job_run import Asked, open_run, prepare, run_job
    from model_training.jobs.load import load_job
    from model_training.sweep.controller import fitted
    from model_training.workspaces.local import LocalWorkspace

    job = _with_run_level(load_job(args.file, defaults=args.defaults), args)
    asked = Asked(job, args.file.resolve().parent, args.test_data, args.new)
    workspace = LocalWorkspace.open()
    data = prepare(workspace, asked)
    _say_plan(job, data, out)
    if args.dry_run:
        fitting, why = fitted(job)
        if why:
            out.say(why)
        settings = _say_settings(replace(fitting, warnings=()), out)
        out.say("nothing was started")
        return {"dry_run": True, "images": _counts(data), **settings}
    run = open_run(workspace, asked, data)
    out.say(f"run {run.id}   (stop it: cva job cancel {run.id})")
    finished = run_job(workspace, asked, data, run, console(out))
    return _say_finished(finished, out)


def _with_run_level(job: JobSpec, args: argparse.Namespace) -> JobSpec:
    limits = job.limits
    if args.max_trials is not None:
        if args.max_trials < 1:
            raise UsageError(f"--max-trials: expected at least 1, found {args.max_trials}")
        together = min(limits.max_concurrent_trials, args.max_trials)
        limits = replace(limits, max_trials=args.max_trials, max_concurrent_trials=together)
    return replace(job, limits=limits, budget_minutes=args.budget_minutes, budget_cpu_seconds=args.budget_cpu_seconds)


def _say_plan(job: JobSpec, data: JobData, out: Output) -> None:
    for warning in job.warnings:
        out.warn(warning)
    if job.compute not in ("", "local", "azureml:local"):
        out.say(f"compute {job.compute}: this run uses this machine")
    for note in data.notes:
        out.say(note)
    if not (job.budget_minutes or job.budget_cpu_seconds):
        warn_of_hours(out)


def warn_of_hours(out: Output) -> None:
    """Without a budget and a GPU a job's own sizes take long; said before anything starts."""
    from model_training.sweep.processes import cores, visible_gpus

    if visible_gpus():
        return
    count = cores()
    out.warn(
        f"{count} CPU core{'s' if count > 1 else ''} and no GPU: small models and up train for hours; "
        "--budget-minutes 10 takes sizes that fit"
    )


def _counts(data: JobData) -> dict[str, int]:
    counts = {"train": len(data.train.rows), "validation": len(data.validation.rows)}
    return {**counts, "test": len(data.test.rows)} if data.test else counts


def _say_finished(finished: Finished, out: Output) -> dict[str, Any]:
    run, bundle = finished.run, finished.bundle
    metrics = bundle.manifest["metrics"]
    _say_card(bundle.manifest, out)
    out.say(f"\nbundle: {shown(bundle.path)}")
    out.say(f"report: {shown(Path(run.result['paths']['report']))}")
    out.say(f"next: cva score PHOTO --bundle {shown(bundle.path)}   |   cva job show {run.id}")
    return {"run": run.id, "status": run.status, "metrics": metrics, "paths": run.result["paths"]}


def _say_card(manifest: dict[str, Any], out: Output) -> None:
    metrics = manifest["metrics"]
    out.say(f"\n{manifest['algorithm']}, measured with the ONNX file on {metrics['images']} {metrics['split']} images")
    numbers = [
        ("AP at IoU .5", metrics["mean_average_precision"]),
        ("AP at IoU .5 to .95", metrics["coco_ap"]),
        ("precision", metrics["precision"]),
        ("recall", metrics["recall"]),
    ]
    out.table(["metric", "value"], numbers)
    out.say()
    rows = [
        [label, values.get("average_precision"), values.get("precision"), values.get("recall")]
        for label, values in metrics["per_label"].items()
    ]
    out.table(["label", "AP", "precision", "recall"], rows)


def list_runs(args: argparse.Namespace, out: Output) -> list[dict[str, Any]]:
    from model_training.workspaces.open import open_workspace

    runs = open_workspace().runs.list()
    if not runs:
        out.say("no runs yet; start one: cva job run job.yml")
    else:
        rows = [[run.id, run.kind, run.experiment, run.status, run.created_at[:19], _map(run)] for run in runs]
        out.table(["run", "kind", "experiment", "status", "created", "mAP"], rows)
    return [_run_json(run) for run in runs]


def _map(run: Run) -> float | None:
    value = (run.result.get("metrics") or {}).get("mean_average_precision")
    return None if value is None else float(value)


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "kind": run.kind,
        "experiment": run.experiment,
        "status": run.status,
        "created_at": run.created_at,
        "ended_at": run.ended_at,
        "parameters": dict(run.parameters),
        "error": run.error,
        **run.result,
    }


def show_run(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.cli.endpoint_submit import metrics_text
    from model_training.sweep.files import read_json
    from model_training.sweep.progress import leaderboard_text
    from model_training.workspaces.azureml.workspace import AzureWorkspace
    from model_training.workspaces.open import open_workspace

    workspace = open_workspace()
    run = workspace.runs.get(args.id)
    facts = {key: value for key, value in _run_json(run).items() if isinstance(value, str) and value}
    url = workspace.service.run(run.id).portal_url if isinstance(workspace, AzureWorkspace) else ""
    place = ("in the studio", url) if url else ("folder", run.folder)
    out.table(["what", "value"], [*facts.items(), *sorted(run.parameters.items()), place])
    if run.result.get("model") and run.result.get("version"):
        champion = " (champion)" if run.result.get("champion") else ""
        measured = metrics_text(run.result.get("metrics") or {})
        out.say(f"\n{run.result['model']}:{run.result['version']}{champion}: {measured}")
    leaderboard = read_json(run.folder / "sweep" / "leaderboard.json")
    if leaderboard:
        out.say(f"\n{leaderboard_text(leaderboard)}")
    lines = workspace.runs.log(run.id).splitlines()
    out.say("\n" + "\n".join(lines if out.verbose else lines[-LOG_LINES:]))
    return {
        **_run_json(run),
        "leaderboard": leaderboard,
        "url": url,
        "paths": {**run.result.get("paths", {}), "run": str(run.folder)},
    }


def cancel_run(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.open import open_workspace

    run = open_workspace().runs.cancel(args.id)
    out.say(f"run {run.id}: {run.status}" + (f" ({run.error})" if run.error else ""))
    return _run_json(run)
