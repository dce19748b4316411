"""The served file against one part of the data: every image through `scoring`, then the metrics.

What is measured is what a device will run: the bundle's ONNX file, images decoded at full size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from model_training.data.jsonl import read_rows, resolve_image
from model_training.data.rows import Row
from model_training.errors import CvaError, DataError
from model_training.evaluation.metrics import Threshold, evaluate
from model_training.evaluation.thresholds import FLOOR
from model_training.evaluation.truth import GroundTruth, ground_truth
from model_training.workspaces.base import Event, Reporter, silent
from scoring.detections import Detections
from scoring.detector import Detector
from scoring.images import open_image

BATCH = 8


class Measured(NamedTuple):
    metrics: dict[str, Any]
    truth: list[GroundTruth]
    detections: list[Detections]


def measure(
    detector: Detector, jsonl: Path, *, score_threshold: Threshold | None, reporter: Reporter = silent
) -> Measured:
    """Metrics at `score_threshold` (None: chosen by best F1 on this part), from detections down to .001.

    Raises:
        DataError: the part names a label that the detector does not have, or an image that cannot be read.
    """
    truth, detections = detect_part(detector, jsonl, reporter=reporter)
    return Measured(evaluate(truth, detections, detector.labels, score_threshold=score_threshold), truth, detections)


def detect_part(
    detector: Detector, jsonl: Path, *, reporter: Reporter = silent
) -> tuple[list[GroundTruth], list[Detections]]:
    """Truth and detections of each row, in the rows' order. One batch of images is in memory at a time."""
    rows = read_rows(jsonl)
    index = {label: number for number, label in enumerate(detector.labels)}
    _check_labels(rows, index, jsonl)
    truth: list[GroundTruth] = []
    detections: list[Detections] = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        images = [_open(row, jsonl) for row in batch]
        truth += [
            ground_truth(row, index, width=im.width, height=im.height) for row, im in zip(batch, images, strict=True)
        ]
        detections += detector.detect(images, score_threshold=FLOOR, batch_size=BATCH)
        text = f"scored {len(truth)} of {len(rows)} {jsonl.stem} images"
        reporter(Event("progress", text, {"done": len(truth), "total": len(rows), "part": jsonl.stem}))
    return truth, detections


def _open(row: Row, jsonl: Path) -> Any:
    path = resolve_image(row, jsonl)
    try:
        return open_image(path)
    except CvaError as error:
        raise DataError(f"{path} cannot be scored: {error.message}", hint=error.hint) from error


def _check_labels(rows: Sequence[Row], known: dict[str, int], jsonl: Path) -> None:
    strange = sorted({label for row in rows for label in row.labels} - known.keys())
    if strange:
        raise DataError(
            f"{jsonl} holds labels that the model does not have: {', '.join(strange)}; it has: {', '.join(known)}",
            hint="score it on data of its own labels, or train a new model",
        )
