"""How datasets, imports and reports are shown to people, and the JSON that programs get. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from model_training.cli.output import Output
from model_training.workspaces.base import Dataset, Split

if TYPE_CHECKING:
    from model_training.data.checks import Alike, Report
    from model_training.workspaces.azureml.datasets import AzureDatasets
    from model_training.workspaces.local.dataset_import import Imported
    from model_training.workspaces.local.datasets import LocalDatasets

SHOWN = 20  # lines of one kind; --json gives all


def dataset_json(dataset: Dataset) -> dict[str, Any]:
    keys = ("name", "version", "sha256", "task", "images", "boxes", "created_at", "description")
    return {key: getattr(dataset, key) for key in keys} | {"labels": list(dataset.labels), "path": str(dataset.path)}


def split_json(split: Split) -> dict[str, Any]:
    paths = {part: str(getattr(split, part)) for part in ("train", "validation", "test")}
    return {"sha256": split.sha256, "seed": split.seed, "counts": dict(split.counts), "paths": paths}


def say_import(imported: Imported, split: Split, notes: Sequence[str], out: Output) -> dict[str, Any]:
    dataset = imported.dataset
    say_lines("left out", imported.left_out, out)
    say_lines("changed", imported.changed, out)
    for note in [*notes, *imported.notes]:
        out.say(f"note: {note}")
    verb = "imported" if imported.new else "unchanged:"
    out.say(f"{verb} {dataset.reference}: {dataset.images} images, {dataset.boxes} boxes, {_labels(dataset)}")
    out.say(f"split: {_counts(split)}")
    out.say(f"next: cva data check {dataset.name}")
    return dataset_json(dataset) | {
        "new": imported.new,
        "left_out": list(imported.left_out),
        "changed": list(imported.changed),
        "notes": [*notes, *imported.notes],
        "split": split_json(split),
    }


def say_dataset(dataset: Dataset, record: dict[str, Any], split: Split, out: Output) -> None:
    out.say(f"{dataset.reference}  {dataset.description}".rstrip())
    facts = {
        "task": dataset.task,
        "images": dataset.images,
        "boxes": dataset.boxes,
        "labels": ", ".join(dataset.labels),
        "split": _counts(split),
        "sha256": dataset.sha256,
        "split sha256": split.sha256,
        "created": dataset.created_at,
        "from": record["source"],
        "folder": dataset.path,
    }
    for name, value in facts.items():
        out.say(f"  {name:<13}{value}")
    say_lines("left out at import", record["left_out"], out)
    say_lines("changed at import", record["changed"], out)


def say_split(dataset: Dataset, datasets: LocalDatasets | AzureDatasets, out: Output) -> dict[str, Any]:
    """Objects (or images, where there are no boxes) of each class in each part."""
    split = datasets.split(dataset)
    classes = datasets.classes_by_part(dataset)
    out.say(f"{dataset.reference}: {_counts(split)}  (seed {split.seed}, sha256 {split.sha256[:12]})")
    out.table(["class", "train", "validation", "test"], [[name, *counts.values()] for name, counts in classes.items()])
    return {"dataset": dataset.reference, **split_json(split), "classes": classes}


def say_report(report: Report, name: str, out: Output) -> None:
    say_lines("bad rows", report.problems, out)
    parts = f" ({', '.join(f'{part} {count}' for part, count in report.parts.items())})" if report.parts else ""
    facts = f"{report.images} good images{parts}, {report.boxes} boxes, {report.without_objects} without objects"
    out.say(f"{name}: {facts}")
    if report.classes:
        header = list(next(iter(report.classes.values())))
        out.table(["class", *header], [[label, *counts.values()] for label, counts in report.classes.items()])
    if report.boxes:
        _say_sizes(report, out)
    _say_alike("the same picture more than once", report.exact, out)
    _say_alike("pictures that look nearly the same", report.near, out)
    crossing = sum(alike.across for alike in [*report.exact, *report.near])
    if crossing:
        out.say(f"warning: {crossing} of these lie in different parts of the split, which flatters the test's numbers")
    out.say(f"{len(report.problems)} bad rows" if report.problems else "no bad rows")


def say_lines(title: str, lines: Sequence[str], out: Output) -> None:
    if not lines:
        return
    out.say(f"{title} ({len(lines)}):")
    for line in lines[:SHOWN]:
        out.say(f"  {line}")
    if len(lines) > SHOWN:
        out.say(f"  … and {len(lines) - SHOWN} more (--json gives all)")


def _say_sizes(report: Report, out: Output) -> None:
    out.say("box size (longer side, share of the image's longer side):")
    largest = max(report.sizes.values())
    for name, count in report.sizes.items():
        out.say(f"  {name:>12}  {count:>7}  {'#' * round(40 * count / largest)}".rstrip())
    if report.tiny:
        out.say(
            f"note: {report.tiny} boxes have a side under 8 pixels at a training size of {report.image_size}; "
            "a larger image_size makes them learnable"
        )


def _say_alike(title: str, alikes: Sequence[Alike], out: Output) -> None:
    def named(alike: Alike) -> str:
        files = (f"{file} [{part}]" if part else file for file, part in zip(alike.files, alike.parts, strict=True))
        return ", ".join(files) + ("  across parts" if alike.across else "")

    first = sorted(alikes, key=lambda alike: not alike.across)  # those that matter most
    say_lines(title, [named(alike) for alike in first], out)


def _labels(dataset: Dataset) -> str:
    return f"{len(dataset.labels)} classes ({', '.join(dataset.labels[:8])}{', …' if len(dataset.labels) > 8 else ''})"


def _counts(split: Split) -> str:
    return ", ".join(f"{part} {count}" for part, count in split.counts.items())
