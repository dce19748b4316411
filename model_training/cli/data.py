"""`cva data …`: parses and prints. What is done lies in `model_training/data` and in the workspace."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.cli.output import Output
from scoring.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from model_training.data.split import SplitOptions
    from model_training.workspaces.azureml.workspace import AzureWorkspace
    from model_training.workspaces.local.workspace import LocalWorkspace

FORMATS = ("voc", "coco", "yolo", "csv", "jsonl", "label-studio", "folder")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cva data", description="labelled data: in, checked, out")
    verbs = top.add_subparsers(metavar="VERB")
    _add_import(verbs)
    _add_check(verbs)
    listing = verbs.add_parser("list", help="every dataset and version")
    listing.set_defaults(run=list_datasets)
    show = verbs.add_parser("show", help="one version: where it came from, classes, split")
    show.add_argument("name", help="NAME, NAME:3 or NAME@latest")
    show.set_defaults(run=show_dataset)
    _add_split(verbs)
    export = verbs.add_parser("export", help="write a version in another format, with its images")
    export.add_argument("name", help="NAME, NAME:3 or NAME@latest")
    export.add_argument("--format", required=True, help=f"one of {', '.join(FORMATS)}")
    export.add_argument("--to", type=Path, default=Path(), help="where NAME_YYYYMMDD_HHMMSS is made (default: here)")
    export.set_defaults(run=export_dataset, long=True)
    sample = verbs.add_parser("sample", help="draw the sample data set: bottles with white, yellow and no caps")
    sample.add_argument("--to", type=Path, default=Path("sample"), help="a new folder (default: sample)")
    sample.add_argument("--images", type=int, default=400)
    sample.add_argument("--seed", type=int, default=7)
    sample.set_defaults(run=draw_sample, long=True)
    return top


def _add_import(verbs: Any) -> None:
    command = verbs.add_parser("import", help="labelled images to a dataset version")
    command.add_argument("path", type=Path, help="the folder or annotation file")
    command.add_argument("--name", required=True, help="of the dataset; importing again makes the next version")
    command.add_argument("--format", help=f"one of {', '.join(FORMATS)} (default: told by the files)")
    command.add_argument("--skip-bad-rows", action="store_true", help="leave bad images out, and list them")
    command.add_argument(
        "--skip-bad-boxes", action="store_true", help="keep images without their bad boxes, and list them"
    )
    command.add_argument(
        "--clip-boxes", action="store_true", help="cut boxes that reach out of the image, and list them"
    )
    command.add_argument("--reference", action="store_true", help="leave the images where they are; hashes are checked")
    command.add_argument("--description", default="", help="a word on what this version is")
    _add_split_options(command)
    command.set_defaults(run=import_data, long=True)


def _add_check(verbs: Any) -> None:
    command = verbs.add_parser("check", help="bad rows, duplicates across splits, class counts, box sizes")
    command.add_argument("name", help="a dataset, or a folder or file that is not imported yet")
    command.add_argument(
        "--format", help=f"of a folder or file: one of {', '.join(FORMATS)} (default: told by the files)"
    )
    command.add_argument("--image-size", type=int, default=640, help="training size at which boxes count as tiny")
    command.set_defaults(run=check_data)


def _add_split(verbs: Any) -> None:
    command = verbs.add_parser("split", help="which part has how many images of which class; --redo draws another")
    command.add_argument("name", help="NAME, NAME:3 or NAME@latest")
    command.add_argument("--redo", action="store_true", help="make a new version with another split")
    _add_split_options(command)
    command.set_defaults(run=show_split)


def _add_split_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--split-seed", "--seed", type=int, help="of the split (default 1)")
    command.add_argument(
        "--fractions", help="train,validation,test of images that come without a split (default .7,.15,.15)"
    )
    command.add_argument("--group-pattern", help="regular expression; images whose first group agrees stay together")


def import_data(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.cli.data_text import say_import
    from model_training.data.formats import read_format
    from model_training.data.importing import Repair
    from model_training.workspaces.open import open_workspace

    source = read_format(_format(args.format, args.path), args.path)
    datasets = open_workspace().datasets
    imported = datasets.import_rows(
        args.name,
        source.rows,
        root=source.root,
        parts=source.parts,
        source=str(args.path.resolve()),
        repair=Repair(args.skip_bad_rows, args.skip_bad_boxes, args.clip_boxes),
        reference=args.reference,
        split=_split_options(args, None),
        description=args.description,
        reporter=lambda event: out.say(f"  {event.text}"),
    )
    return say_import(imported, datasets.split(imported.dataset), source.notes, out)


def check_data(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.cli.data_text import say_report
    from model_training.data.checks import check_rows
    from model_training.data.formats import read_format
    from model_training.workspaces.open import open_workspace

    workspace = open_workspace()
    tell = _progress(out)
    if Path(args.name).exists() and (args.format or not _is_dataset(args.name, workspace)):
        source = read_format(_format(args.format, Path(args.name)), Path(args.name))
        beside = source.root / "data.jsonl"
        report = check_rows(
            source.rows,
            lambda row: workspace.datastores.resolve(row.image_url, beside),
            part_of=lambda row: source.parts.get(row.file_name, ""),
            image_size=args.image_size,
            progress=tell,
        )
    else:
        dataset = workspace.datasets.get(args.name)
        report = workspace.datasets.check(dataset, image_size=args.image_size, progress=tell)
    say_report(report, args.name, out)
    args.exit_code = 1 if report.problems else 0
    return report.json()


def list_datasets(args: argparse.Namespace, out: Output) -> list[dict[str, Any]]:
    from model_training.cli.data_text import dataset_json
    from model_training.workspaces.open import open_workspace

    found = open_workspace().datasets.list()
    if found:
        rows = [[d.name, d.version, d.images, d.boxes, len(d.labels), d.created_at[:16], d.sha256[:12]] for d in found]
        out.table(["name", "version", "images", "boxes", "classes", "created", "sha256"], rows)
    else:
        out.say("no datasets yet; `cva data import FOLDER --name NAME` makes one, `cva data sample` draws one")
    return [dataset_json(dataset) for dataset in found]


def show_dataset(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.cli.data_text import dataset_json, say_dataset
    from model_training.workspaces.dataset_files import details
    from model_training.workspaces.open import open_workspace

    datasets = open_workspace().datasets
    split = datasets.split(datasets.get(args.name))  # a labelled export of Azure's is looked at by its first split
    dataset = datasets.get(split.dataset)
    record = details(dataset.path)
    say_dataset(dataset, record, split, out)
    return dataset_json(dataset) | {key: record[key] for key in ("source", "left_out", "changed")}


def show_split(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.cli.data_text import say_split
    from model_training.data.split import SplitOptions
    from model_training.workspaces.open import open_workspace

    datasets = open_workspace().datasets
    dataset = datasets.get(args.name)
    if args.redo:
        options = _split_options(args, datasets.split_options(dataset))
        dataset = datasets.resplit(dataset.name, options or SplitOptions())
        out.warn(
            f"{dataset.reference} has another split: models trained on earlier versions may have seen its test images, "
            "and the gate refuses to compare with them"
        )
    elif _split_options(args, None):
        raise UsageError(
            f"{dataset.reference} has its split already, and it is kept",
            hint="add --redo to make a version with another one",
        )
    return say_split(dataset, datasets, out)


def export_dataset(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.data.export import export
    from model_training.workspaces.open import open_workspace

    workspace = open_workspace()
    datasets = workspace.datasets
    dataset = datasets.get(args.name)
    datasets.split(dataset)  # on Azure its images may not be here yet
    beside = dataset.path / "data.jsonl"
    done = export(
        datasets.rows(dataset),
        args.format,
        args.to,
        datasets.parts(dataset),
        name=dataset.name,
        locate=lambda row: workspace.datastores.resolve(row.image_url, beside),
    )
    for note in done.notes:
        out.say(f"note: {note}")
    out.say(f"{dataset.reference} as {args.format}: {done.images} images in {done.folder}")
    return {"paths": {"folder": str(done.folder)}, "images": done.images, "notes": list(done.notes)}


def draw_sample(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    from model_training.data.sample import make_sample

    def progress(done: int) -> None:
        if done % 100 == 0:
            out.say(f"  drew {done} of {args.images} images")

    folder = make_sample(args.to, args.images, args.seed, progress)
    out.say(
        f"{args.images} photographs of bottles in {folder}; next: cva data import {folder} --format jsonl --name caps"
    )
    return {"paths": {"folder": str(folder)}, "images": args.images, "seed": args.seed}


def _split_options(args: argparse.Namespace, before: SplitOptions | None) -> SplitOptions | None:
    """What was said, on top of `before`; None when nothing was said."""
    from model_training.data.split import SplitOptions

    base = before or SplitOptions()
    if args.split_seed is None and args.fractions is None and args.group_pattern is None:
        return before
    return SplitOptions(
        base.seed if args.split_seed is None else args.split_seed,
        base.fractions if args.fractions is None else _fractions(args.fractions),
        base.group_pattern if args.group_pattern is None else args.group_pattern,
    )


def _fractions(text: str) -> tuple[float, float, float]:
    try:
        train, validation, test = (float(part) for part in text.replace("/", ",").split(","))
    except ValueError as error:
        raise UsageError(
            f"--fractions: expected three numbers such as 0.7,0.15,0.15, found {text!r}", hint="separate them by commas"
        ) from error
    return train, validation, test


def _format(said: str | None, path: Path) -> str:
    from model_training.data.formats import looks_like

    found = said or looks_like(path)
    if not found:
        raise UsageError(f"cannot tell which format {path} is in", hint=f"say --format {'|'.join(FORMATS)}")
    return found


def _progress(out: Output) -> Callable[[int, int, float], None]:
    return lambda done, total, left: out.say(f"  looked at {done} of {total} images, {left:.0f} s left")


def _is_dataset(name: str, workspace: LocalWorkspace | AzureWorkspace) -> bool:
    try:
        workspace.datasets.get(name)
    except (UsageError, NotFoundError):
        return False
    return True
