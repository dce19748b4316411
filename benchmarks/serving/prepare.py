"""What every server is given: one bundle, some photographs, and the answers that a direct call gives.

    .venv/bin/python -m benchmarks.serving.prepare FOLDER [--pictures 32] [--bundle DIR]

The bundle that is given, or a nano detector with random weights at 320 pixels, exported as a trained one is: speed does
not depend on what was learned. Its score threshold is the one that lets 13 boxes an image through on average, as many
as BCCD has objects.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from scoring.bundle import write_manifest
from scoring.detector import Detector
from scoring.images import open_image, preprocess
from scoring.manifest import Preprocess
from scoring.scorer import score_image
from scoring.wire import to_element

ROOT = Path(__file__).resolve().parents[2]
LABELS = ["RBC", "WBC", "Platelets"]
SIZE, BOXES, MOST_BOXES, IOU = 320, 13, 100, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--bundle", type=Path, help="instead of a detector with random weights")
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    pictures = copy_pictures(args.folder / "pictures", args.pictures)
    bundle = args.folder / "bundle"
    if args.bundle:
        shutil.copytree(args.bundle, bundle)
    else:
        make_bundle(bundle, pictures)
    detector = Detector.load(bundle)
    expected = {path.name: answer(detector, path) for path in pictures}
    (args.folder / "expected.json").write_text(json.dumps(expected))
    boxes = [len(element["boxes"]) for element in expected.values()]
    facts = {"pictures": len(pictures), "boxes_an_image": sum(boxes) / len(boxes), "most_boxes": max(boxes)}
    print(
        json.dumps(
            {**facts, "model_bytes": (bundle / "model.onnx").stat().st_size, "side": detector.bundle.preprocess.size[0]}
        )
    )


def copy_pictures(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True)
    source = Path(os.environ.get("CVA_BCCD", ROOT.parent / "shared" / "data" / "bccd")) / "JPEGImages"
    found = sorted(source.glob("*.jpg"))
    if len(found) < count:
        raise SystemExit(f"expected {count} photographs in {source}, found {len(found)}: set CVA_BCCD")
    return [Path(shutil.copy(path, folder / path.name)) for path in found[:: len(found) // count][:count]]


def make_bundle(folder: Path, pictures: list[Path]) -> Path:
    import torch

    from model_training.algorithms import build
    from model_training.packaging.export import export_onnx

    torch.manual_seed(0)
    model = build("yolov5", classes=len(LABELS), model_size="nano")
    spread(model, pictures)
    folder.mkdir(parents=True)
    graph = export_onnx(model, image_size=SIZE, classes=len(LABELS), iou=IOU, max_boxes=MOST_BOXES)
    (folder / "model.onnx").write_bytes(graph)
    (folder / "labels.json").write_text(json.dumps(LABELS))
    write_manifest(folder, manifest(0.0))
    write_manifest(folder, manifest(threshold(Detector.load(folder), pictures)))
    return folder


def spread(model: Any, pictures: list[Path]) -> None:
    """Scores that differ from place to place, as a trained model's do: statistics of real photographs, a wider head."""
    import torch

    spec = Preprocess((SIZE, SIZE))
    images = torch.from_numpy(np.stack([preprocess(open_image(path), spec)[0] for path in pictures[:8]]))
    for head in model.heads:
        torch.nn.init.normal_(head.score[-1].weight, std=0.05)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the mean of what was seen, with nothing of the initial value in it
    with torch.no_grad():
        model.train()(images)
    model.eval()


def threshold(detector: Detector, pictures: list[Path]) -> float:
    """The score that lets BOXES an image through on average."""
    every = [detector.detect([open_image(path)], score_threshold=0.0)[0].scores for path in pictures]
    return float(np.sort(np.concatenate(every))[-BOXES * len(pictures)])


def manifest(score_threshold: float) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": "Serving_Benchmark",
        "created_at": "2026-01-01T00:00:00Z",
        "task": "image_object_detection",
        "algorithm": "yolov5",
        "implementation": "random weights",
        "license": "MIT",
        "source": {"engine": "local"},
        "metrics": {"split": "test", "mean_average_precision": 0.0, "precision": None, "recall": None},
        "preprocess": {"size": [SIZE, SIZE], "resize": "letterbox", "pad": 114},
        "postprocess": {"kind": "cva", "iou": IOU, "score_threshold": score_threshold, "max_boxes": MOST_BOXES},
        "labels": LABELS,
        "runtime": {"format": "onnx", "opset": 18, "onnxruntime": ">=1.20"},
    }


def answer(detector: Detector, path: Path) -> dict[str, Any]:
    found = score_image(detector, path.read_bytes()).found
    assert found is not None
    return to_element("image_0", found, detector.labels)


if __name__ == "__main__":
    main()
