"""The embedded detector from random weights on BCCD: its own lists (205 train, 87 validation, 72 test), one CPU thread.

Starts the trial process itself, so nothing but training is in the budget; thresholds come from the validation images.

    python benchmarks/bccd.py PATH_OF_BCCD [--budget 600] [--seed 1] [--keep FOLDER]      prints one JSON line
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from model_training.data.jsonl import write_rows
from model_training.data.rows import Row
from model_training.data.voc import read_voc
from model_training.training.spec import TrialSpec

LABELS = ("Platelets", "RBC", "WBC")
PARTS = {"train": "train", "val": "validation", "test": "test"}
HYPERPARAMETERS = {
    "image_size": 320,
    "model_size": "nano",
    "number_of_epochs": 1000,  # the budget ends the run
    "evaluation_frequency": 15,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bccd", type=Path, help="the folder with Annotations, ImageSets and JPEGImages")
    parser.add_argument("--budget", type=float, default=600.0, metavar="CPU_SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="leave the trial's folder here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (args.keep or Path(scratch)) / f"bccd-{args.seed}"
        folder.mkdir(parents=True)
        write_parts(args.bccd, folder)
        train(folder, args.budget, args.seed)
        print(json.dumps({"budget_cpu_seconds": args.budget, "seed": args.seed, **measure(folder), "host": host()}))


def write_parts(bccd: Path, folder: Path) -> None:
    """One JSONL a part; the two boxes of no extent are left out."""
    rows = {Path(row.file_name).stem: _absolute(row, bccd) for row in read_voc(bccd) if isinstance(row, Row)}
    for part, name in PARTS.items():
        listed = (bccd / "ImageSets" / "Main" / f"{part}.txt").read_text().split()
        write_rows(folder / f"{name}.jsonl", [rows[stem] for stem in listed])


def _absolute(row: Row, bccd: Path) -> Row:
    url = (bccd.resolve() / "JPEGImages" / row.file_name).as_uri()
    boxes = tuple(box for box in row.boxes if box.bottom_x > box.top_x and box.bottom_y > box.top_y)
    return replace(row, image_url=url, boxes=boxes)


def train(folder: Path, budget: float, seed: int) -> None:
    """The trial process, as the controller starts it."""
    spec = TrialSpec(
        number=0,
        algorithm="yolov5",
        hyperparameters=HYPERPARAMETERS,
        labels=LABELS,
        train=str(folder / "train.jsonl"),
        validation=str(folder / "validation.jsonl"),
        primary_metric="mean_average_precision",
        seed=seed,
        budget_cpu_seconds=budget,
    )
    (folder / "trial.json").write_text(json.dumps(asdict(spec)))
    command = [sys.executable, "-m", "model_training.training.trial", str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def measure(folder: Path) -> dict[str, Any]:
    """On the test images, with the thresholds that the validation images chose."""
    from model_training.training.checkpoint import load_detector
    from model_training.training.examples import load_examples
    from model_training.training.validate import Selection, validate

    result = json.loads((folder / "result.json").read_text())
    detector = load_detector(folder / result["weights"])
    examples = load_examples(folder / "test.jsonl", LABELS, detector.image_size, folder / "cache")
    thresholds = result["metrics"]["precision_recall_at"]["score"]
    select = Selection(
        detector.hyperparameters["nms_iou_threshold"], detector.hyperparameters["box_detections_per_image"]
    )
    metrics = validate(detector.model, examples, LABELS, select, 8, thresholds)
    return {
        "cpu_seconds": result["cpu_seconds"],
        "epochs": result["epochs"],
        "validation": result["metrics"],
        "test": metrics,
    }


def host() -> dict[str, Any]:
    import torch

    return {
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "simd": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
