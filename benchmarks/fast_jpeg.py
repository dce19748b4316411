"""What `cva serve --fast-jpeg` saves and what it costs: decoding at 1/2, 1/4 or 1/8 inside the JPEG decoder.

Time is decoding and preprocessing of one photograph, one thread, the best of alternating rounds for each photograph.
Cost is the difference of the detector's input (in steps of 255), and of a trained model's mean average precision and
boxes on its own test part, whose pictures are enlarged first, as a camera with more pixels would have given them.

Measured on 2 shared cores: 640 x 480 for an input of 320 takes 0.8 ms instead of 2.6, 2560 x 1920 takes 4.2 instead of
27; the input differs by .15 to .44 steps of 255 on average. Mean average precision of a trained nano at 256 moves by at
most .0023 (up, on 60 pictures), 95 of 100 boxes by less than .2 % of a side and their scores by less than .013.

    python benchmarks/fast_jpeg.py PATH_OF_BCCD --bundle DIR --test test.jsonl

writes benchmarks/results/fast_jpeg.json. `cva demo` leaves a bundle, and a test.jsonl in the workspace's data set.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from host import host
from PIL import Image

from model_training.data.jsonl import read_rows, resolve_image
from model_training.evaluation.measure import FLOOR, ground_truth
from model_training.evaluation.metrics import evaluate
from scoring.detections import Detections
from scoring.detector import Detector
from scoring.images import open_upright, preprocess
from scoring.manifest import Preprocess
from scoring.scorer import score_image

HERE = Path(__file__).resolve().parent
QUALITY = 90
ENLARGED = (2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bccd", type=Path, help="the folder with Annotations, ImageSets and JPEGImages")
    parser.add_argument("--bundle", type=Path, required=True, help="a trained model")
    parser.add_argument("--test", type=Path, required=True, help="its test part, JSONL")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    paths = sorted((args.bccd / "JPEGImages").glob("*.jpg"))[:24]
    originals = [path.read_bytes() for path in paths]
    photographs = {1: originals} | {by: [enlarged(data, by) for data in originals[:8]] for by in (2, 4)}
    speed = [
        {"pixels": f"{640 * by} x {480 * by}", "input": size, **compare(data, Preprocess((size, size)), args.rounds)}
        for by, data in photographs.items()
        for size in (256, 320, 416, 640)
    ]
    result = {
        "command": "python benchmarks/fast_jpeg.py BCCD --bundle DIR --test test.jsonl",
        "photographs": speed,
        "accuracy": accuracy(Detector.load(args.bundle), args.test),
        "host": host(),
    }
    (HERE / "results" / "fast_jpeg.json").write_text(json.dumps(result, indent=1) + "\n")
    for row in [*speed, *result["accuracy"]]:
        print(json.dumps(row))


def enlarged(data: bytes, by: int) -> bytes:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    buffer = io.BytesIO()
    image.resize((image.width * by, image.height * by), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def compare(pictures: Sequence[bytes], spec: Preprocess, rounds: int) -> dict[str, Any]:
    full, fast, steps = [], [], []
    for data in pictures:
        one, other = best(lambda d=data: prepared(d, spec, None), lambda d=data: prepared(d, spec, spec), rounds)
        full.append(one)
        fast.append(other)
        steps.append(np.abs(prepared(data, spec, None) - prepared(data, spec, spec)) * 255)
    less = open_upright(pictures[0], fast_for=spec)
    return {
        "decoded_at": f"1/{less.width // less.image.width}",
        "full_ms": round(statistics.mean(full), 2),
        "fast_ms": round(statistics.mean(fast), 2),
        "mean_difference": round(float(np.mean(steps)), 3),
        "largest_difference": round(float(np.max(steps)), 1),
    }


def prepared(data: bytes, spec: Preprocess, fast_for: Preprocess | None) -> np.ndarray:
    return preprocess(open_upright(data, fast_for=fast_for).image, spec)[0]


def best(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Milliseconds, the two in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for kept, work in zip(times, (first, second), strict=True):
            began = time.perf_counter()
            work()
            kept.append((time.perf_counter() - began) * 1000)
    return min(times[0]), min(times[1])


def accuracy(detector: Detector, test: Path) -> list[dict[str, Any]]:
    rows = read_rows(test)
    index = {label: number for number, label in enumerate(detector.labels)}
    plain = [resolve_image(row, test).read_bytes() for row in rows]
    operating = detector.bundle.postprocess.score_threshold
    table = []
    for by in ENLARGED:
        pictures = [enlarged(data, by) for data in plain]
        sizes = [Image.open(io.BytesIO(data)).size for data in pictures]
        truth = [ground_truth(row, index, width=w, height=h) for row, (w, h) in zip(rows, sizes, strict=True)]
        ways = [[found(detector, data, fast) for data in pictures] for fast in (False, True)]
        metrics = [evaluate(truth, way, detector.labels, score_threshold=operating) for way in ways]
        row = {"test_images": len(rows), "enlarged": by, **moved(*ways)}
        for name in ("mean_average_precision", "coco_ap", "precision", "recall"):
            row[name] = [round(each[name], 4) for each in metrics]
        table.append(row)
    return table


def found(detector: Detector, data: bytes, fast: bool) -> Detections:
    scored = score_image(detector, data, score_threshold=FLOOR, fast_jpeg=fast)
    assert scored.found is not None, scored.error
    return scored.found


def moved(full: Sequence[Detections], fast: Sequence[Detections]) -> dict[str, float]:
    """How far the boxes with a score of .25 or more are from the nearest of their label the other way."""
    sides, scores = [], []
    for one, other in zip(full, fast, strict=True):
        for box, score, label in zip(one.boxes, one.scores, one.labels, strict=True):
            if score >= 0.25 and (other.labels == label).any():
                away = np.abs(other.boxes[other.labels == label] - box).max(axis=1)
                sides.append(away.min())
                scores.append(abs(other.scores[other.labels == label][away.argmin()] - score))
    return {
        "boxes": len(sides),
        "moved_95th_percentile": round(float(np.quantile(sides, 0.95)), 4),
        "score_changed_95th_percentile": round(float(np.quantile(scores, 0.95)), 4),
    }


if __name__ == "__main__":
    main()
