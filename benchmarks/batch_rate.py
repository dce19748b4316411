"""How much of a bare loop's rate `cva batch` keeps: the same detector, photographs and number of threads.

Bare is decode and detect in a pool of threads, nothing kept. Batch reads, hashes, decodes, detects, and writes rows in
order, the table and the record, until all files have their names. Rounds alternate, so that a busy machine slows both.
The detector is a nano at 320 pixels with random weights that answers thirteen boxes an image, as many as BCCD has.

    python benchmarks/batch_rate.py PATH_OF_BCCD [--rounds 5]      writes benchmarks/results/batch_rate.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from host import host

from scoring.batch.inputs import Item
from scoring.batch.rows import Scorer
from scoring.batch.run import run_batch
from scoring.bundle import write_manifest
from scoring.detector import Detector
from scoring.images import open_image

SIZE, BOXES = 320, 13  # pixels of the input; boxes an image, as in BCCD
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bccd", type=Path, help="the folder with Annotations, ImageSets and JPEGImages")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    images = sorted((args.bccd / "JPEGImages").glob("*.jpg"))
    workers = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        detector = Detector.load(make_detector(Path(scratch) / "bundle"))
        bare(detector, images[:40], workers)
        rounds = [one_round(detector, images, workers, Path(scratch) / f"out{at}") for at in range(args.rounds)]
    kept = statistics.median(each["batch"]["images_per_second"] / each["bare"]["images_per_second"] for each in rounds)
    cpu = statistics.median(each["batch"]["cpu_seconds"] / each["bare"]["cpu_seconds"] for each in rounds)
    result = {
        "command": f"python benchmarks/batch_rate.py BCCD --rounds {args.rounds}",
        "images": len(images),
        "workers": workers,
        "rate_kept": round(kept, 3),
        "cpu_of_bare": round(cpu, 3),
        "rounds": rounds,
        "host": host(),
    }
    (HERE / "results" / "batch_rate.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("images", "workers", "rate_kept", "cpu_of_bare")}))


def make_detector(folder: Path) -> Path:
    import torch

    from model_training.algorithms import build
    from model_training.packaging.export import export_onnx

    torch.manual_seed(0)
    folder.mkdir()
    model = build("yolov5", classes=3, model_size="nano").eval()
    (folder / "model.onnx").write_bytes(export_onnx(model, image_size=SIZE, classes=3, iou=0.5, max_boxes=BOXES))
    manifest: dict[str, Any] = {
        "schema": 1,
        "name": "Random",
        "task": "image_object_detection",
        "metrics": {},
        "preprocess": {"size": [SIZE, SIZE], "resize": "letterbox", "pad": 114},
        "postprocess": {"kind": "cva", "iou": 0.5, "score_threshold": 0.001, "max_boxes": BOXES},
        "labels": ["Platelets", "RBC", "WBC"],
        "runtime": {"format": "onnx", "opset": 18, "onnxruntime": ">=1.20"},
    }
    write_manifest(folder, manifest)
    return folder


def one_round(detector: Detector, images: list[Path], workers: int, out: Path) -> dict[str, Any]:
    items = [Item(path.name, str(path)) for path in images]
    scorer = Scorer(detector, "Random")
    boxes = 0

    def batch() -> None:
        nonlocal boxes
        boxes = run_batch(scorer, lambda: iter(items), out, {"model": "Random"}, workers=workers).totals.boxes

    first = timed(lambda: bare(detector, images, workers), len(images))
    second = timed(batch, len(images))
    return {"bare": first, "batch": second, "boxes": boxes, "load_average": os.getloadavg()[0]}


def bare(detector: Detector, images: list[Path], workers: int) -> None:
    def score(path: Path) -> int:
        return len(detector.detect([open_image(path)], batch_size=1)[0])

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(score, images):
            pass


def timed(work: Callable[[], None], images: int) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
        "images_per_second": round(images / wall, 2),
    }


if __name__ == "__main__":
    main()
