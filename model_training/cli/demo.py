"""`cva demo`: the whole main job on generated data, step by step, with the commands that do the same on your own.

Parses and prints; every step is what the command that it names would do.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.cli.output import Output, shown

if TYPE_CHECKING:
    from model_training.workspaces.base import Dataset, Run
    from model_training.workspaces.local import LocalWorkspace

DATASET = "cap_sample"
MODEL = "Cap_Detection_Model"
EXPERIMENT = "cap_detection"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="cva demo",
        description="Bottles with white caps, yellow caps and none: generated, checked, registered as a dataset,"
        " trained on by a published pipeline, packaged, registered and used. After an interruption it goes on.",
    )
    top.add_argument("--images", type=int, default=400, help="to generate (default 400)")
    top.add_argument("--minutes", type=float, default=5.0, help="for the training (default 5)")
    top.add_argument("--seed", type=int, default=7, help="of the generated images (default 7)")
    top.add_argument("--model-size", default="", metavar="SIZE", help="pico, nano, small, … (default: by the minutes)")
    top.add_argument("--new", action="store_true", help="do not go on with an interrupted demo")
    top.set_defaults(run=run, long=True)
    return top


def run(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.workspaces.local import LocalWorkspace

    started = time.monotonic()
    workspace = LocalWorkspace.open()
    out.say(f"workspace {shown(workspace.path)}")
    dataset = _dataset(workspace, args, out)
    finished = _train(workspace, dataset, args, out)
    return _show(workspace, finished, _samples(workspace, args), time.monotonic() - started, out)


def _samples(workspace: LocalWorkspace, args: argparse.Namespace) -> Path:
    return workspace.path / "samples" / f"caps-{args.images}-{args.seed}"


def _dataset(workspace: LocalWorkspace, args: argparse.Namespace, out: Output) -> Dataset:
    """Generate, import with its checks, show what was found."""
    from model_training.cli.data_text import say_report
    from model_training.cli.progress import console
    from model_training.data.formats import read_format
    from model_training.data.sample import make_sample

    folder = _samples(workspace, args)
    _heading(out, "labelled images", f"cva data sample --to DIR --images {args.images} --seed {args.seed}")
    if not (folder / "MLTable").is_file():
        make_sample(folder, args.images, args.seed)
    out.say(f"    {args.images} photographs of bottles in {shown(folder)}")

    _heading(
        out, "a dataset, checked", f"cva data import DIR --format jsonl --name {DATASET}; cva data check {DATASET}"
    )
    source = read_format("jsonl", folder)
    imported = workspace.datasets.import_rows(
        DATASET, source.rows, root=source.root, parts=source.parts, source=str(folder), reporter=console(out)
    )
    dataset = imported.dataset
    say_report(workspace.datasets.check(dataset, image_size=320), DATASET, out)
    split = workspace.datasets.split(dataset)
    counts = ", ".join(f"{part} {number}" for part, number in split.counts.items())
    out.say(f"    {dataset.reference}: {dataset.images} images ({counts}), {', '.join(dataset.labels)}")
    return dataset


def _train(workspace: LocalWorkspace, dataset: Dataset, args: argparse.Namespace, out: Output) -> Run:
    """Publish the template if it is not what is published, submit, follow."""
    from model_training.cli.progress import console
    from model_training.provenance import git_commit
    from model_training.settings import load_settings
    from model_training.workspaces.local.submissions import Submission, create, execute

    settings = load_settings()
    name, template = settings.automl_pipeline_name, settings.job_template_path
    _heading(out, "a pipeline endpoint", "cva endpoint publish")
    text = template.read_text(encoding="utf-8")
    known = {endpoint.name for endpoint in workspace.endpoints.list()}
    if name not in known or workspace.endpoints.version(name).template != text:
        workspace.endpoints.publish(
            name, text, description=settings.automl_pipeline_description, git_commit=git_commit(template.parent)
        )
    published = workspace.endpoints.version(name)
    out.say(f"    {name} version {published.version}, from {template.name}")

    _heading(
        out,
        "train, measure, register",
        f"cva endpoint submit --dataset-name {DATASET} --model-name {MODEL} --cluster local"
        f" --experiment {EXPERIMENT} --budget-minutes {args.minutes:g}"
        + (f" --model-size {args.model_size}" if args.model_size else ""),
    )
    asked = Submission(
        EXPERIMENT,
        dataset.reference,
        MODEL,
        "local",
        budget_minutes=args.minutes,
        new=args.new,
        model_size=args.model_size,
    )
    return execute(workspace, create(workspace, published, asked).id, console(out))


def _show(workspace: LocalWorkspace, run: Run, folder: Path, seconds: float, out: Output) -> dict[str, Any]:
    """The card, where everything lies, and what to try next."""
    from model_training.cli.model import say_card

    result = run.result
    model = workspace.models.get(f"{result['model']}:{result['version']}")
    _heading(out, "the registered model", f"cva model show {MODEL}")
    say_card(model, workspace.models.lineage(model), len(workspace.models.trained_on(model)), out)
    report = run.folder / "report"
    pictures = sorted((report / "pictures").iterdir())
    out.say(f"    {len(pictures)} held-out images with their boxes: {shown(report / 'pictures')}")
    out.say(f"    a page with the curves, the confusion matrix and the pictures: {shown(report / 'report.html')}")
    out.say(f"\n{seconds / 60:.1f} minutes. Try next:")
    out.say(f"    cva score {_held_out(workspace, run, folder)} --model {MODEL} --out scored")
    out.say(f"    cva model pull {MODEL} --version latest --to device")
    out.say("    cva data import ~/caps --format voc --name caps     # your own; then submit with --dataset-name caps")
    return {
        "run": run.id,
        "status": run.status,
        "model": model.name,
        "version": model.version,
        "champion": model.champion,
        "metrics": result["metrics"],
        "seconds": round(seconds, 1),
        "paths": {
            "model": str(model.path),
            "report": str(report / "report.html"),
            "pictures": [str(path) for path in pictures],
            "run": str(run.folder),
        },
    }


def _held_out(workspace: LocalWorkspace, run: Run, folder: Path) -> str:
    """An image of the test part, as it was generated."""
    from model_training.data.jsonl import read_rows

    dataset = workspace.datasets.get(run.parameters["dataset"])
    rows = read_rows(workspace.datasets.split(dataset).test)
    row = next((row for row in rows if row.boxes), rows[0])
    return shown(folder / row.file_name)


def _heading(out: Output, title: str, command: str) -> None:
    out.say(f"\n== {title}   $ {command}")
