"""`cva batch`: many images to files of predictions. Parses and prints; what is done lies in `scoring/batch`."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.cli.output import Output, shown
from scoring.cli import add_model, add_runtime, fraction, open_model, positive
from scoring.errors import UsageError

if TYPE_CHECKING:
    from scoring.batch.journal import Totals
    from scoring.batch.run import Result

_EPILOG = """\
predictions.jsonl holds one row for each image that was scored, errors.jsonl one for each that failed, predictions.csv
one line for each box (an image without boxes is in the JSONL only). A file that is named twice is scored once.
The same command again goes on where a killed one stopped.
"""


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="cva batch", description="Score many images: rows in the order of the images, in little memory.",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    result.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="image files, folders (searched deeply), patterns, JSONL, MLTable"
    )
    add_model(result)
    result.add_argument("--dataset", metavar="NAME[:VERSION]", help="a dataset of the workspace; NAME-test is its part")
    result.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files are written")
    result.add_argument("--workers", type=positive, metavar="N", help="threads that score (default: one a core)")
    add_runtime(result)
    result.add_argument("--threshold", type=fraction, metavar="T", help="lowest score (default: the model's own)")
    result.add_argument(
        "--error-threshold", type=_tolerance, default="0", metavar="N|P%", help="images that may fail (default 0)"
    )
    result.add_argument("--overwrite", action="store_true", help="replace what another run left in --out")
    result.add_argument("--csv", action=argparse.BooleanOptionalAction, default=True, help="predictions.csv too")
    result.set_defaults(run=run, long=True)
    return result


def run(args: argparse.Namespace, out: Output) -> dict[str, Any]:
    """Sets `args.exit_code` to 1 where more images failed than `--error-threshold` allows."""
    from model_training.cli.batch_inputs import Inputs, dataset_file
    from scoring.batch.rows import Scorer
    from scoring.batch.run import run_batch
    from scoring.detector import Detector
    from scoring.files import sha256_of

    if not args.inputs and not args.dataset:
        raise UsageError("expected images to score, found none", hint="name files, folders, patterns or --dataset NAME")
    inputs = Inputs(args.inputs, [dataset_file(args.dataset)] if args.dataset else [], args.out)
    model = open_model(args)
    total = sum(1 for _ in inputs())
    workers = args.workers or _cores()
    out.say(f"{model.reference}: {total} images, {workers} workers")
    manifest = sha256_of(model.bundle.path / "manifest.json")
    header = {"model": model.reference, "manifest_sha256": manifest, "score_threshold": args.threshold}
    detector = Detector.load(model.bundle, threads=args.threads, provider=args.provider)
    scorer = Scorer(detector, model.reference, args.threshold)
    result = run_batch(
        scorer, inputs, args.out, header,
        workers=workers, table=args.csv, overwrite=args.overwrite, tell=_progress(out, total),
    )  # fmt: skip
    _say(result, args.out, out)
    allowed = args.error_threshold(result.totals.images)
    if result.totals.failed > allowed:
        out.warn(f"{result.totals.failed} images failed, {allowed:g} may (--error-threshold); see errors.jsonl")
        args.exit_code = 1
    return _summary(model.name, model.version, result)


def _summary(name: str, version: int | None, result: Result) -> dict[str, Any]:
    totals = result.totals
    scored = totals.images - totals.resumed
    return {
        "model": name,
        "version": version,
        "images": totals.images,
        "failed": totals.failed,
        "boxes": totals.boxes,
        "resumed": totals.resumed,
        "seconds": round(result.seconds, 2),
        "images_per_second": round(scored / result.seconds, 1) if scored else None,
        "paths": result.paths,
    }


def _say(result: Result, folder: Path, out: Output) -> None:
    totals = result.totals
    if result.done_before:
        out.say("already done; --overwrite scores again")
    elif totals.resumed:
        out.say(f"{totals.resumed} of the images had been scored before")
    out.say(
        f"{totals.boxes} objects on {totals.images - totals.failed} images, {totals.failed} failed: {shown(folder)}"
    )


def _progress(out: Output, total: int) -> Callable[[Totals, float], None]:
    from model_training.cli.progress import console
    from model_training.workspaces.base import Event

    report, last = console(out), 0.0

    def tell(totals: Totals, seconds: float) -> None:
        nonlocal last
        done, now = totals.images, time.monotonic()
        if done < total and now - last < 0.2:
            return
        last = now
        rate = (done - totals.resumed) / max(seconds, 1e-9)
        left = f", {_duration((total - done) / rate)} left" if done < total else ""
        text = f"{done} of {total} images, {totals.failed} failed, {rate:.1f} a second{left}"
        report(Event("progress", text, {"done": done, "total": total}))

    return tell


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tolerance(text: str) -> Callable[[int], float]:
    """`5` images, or `2.5%` of them."""
    number = float(text.removesuffix("%"))
    percent = text.endswith("%")
    if not (0 <= number <= 100 if percent else number >= 0 and number == int(number)):
        raise argparse.ArgumentTypeError(f"expected a number of images or a percentage, found {text}")
    return lambda images: images * number / 100 if percent else number
