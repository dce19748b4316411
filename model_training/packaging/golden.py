"""Golden images: a few held-out pictures with the answers that the exported file gives, for a device's self-test."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_training.data.jsonl import read_rows, resolve_image
from model_training.evaluation.measure import Measured
from model_training.evaluation.metrics import threshold_of
from scoring.detections import Detections
from scoring.detector import Detector
from scoring.images import open_image
from scoring.wire import to_element

LEAST, MOST = 3, 5
LONG_SIDE = 640  # pixels
QUALITY = 90  # JPEG
TOLERANCE = {"box": 0.01, "score": 0.02}  # fractions of the image; scores


def write_golden(folder: Path, detector: Detector, jsonl: Path, measured: Measured) -> None:
    """`golden/0001.jpg` … and `golden/expected.json`, the answers at the bundle's own threshold."""
    golden = folder / "golden"
    golden.mkdir()
    rows = read_rows(jsonl)
    answers = []
    threshold = detector.bundle.postprocess.score_threshold
    for number, position in enumerate(choose(measured, detector.labels, threshold), 1):
        file = golden / f"{number:04}.jpg"
        image = open_image(resolve_image(rows[position], jsonl))
        image.thumbnail((LONG_SIDE, LONG_SIDE))
        image.save(file, "JPEG", quality=QUALITY)
        found = detector.detect([open_image(file)])[0]
        answers.append({"file": file.name, "boxes": to_element(file.name, found, detector.labels)["boxes"]})
    # null: the manifest's own threshold, one a label
    expected: dict[str, Any] = {"score_threshold": None, "tolerance": TOLERANCE, "images": answers}
    (golden / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def choose(measured: Measured, labels: Sequence[str], threshold: float | Mapping[str, float]) -> list[int]:
    """Images that show every label between them and one that shows none, as far as `MOST` go.

    Among equals the clearest: the one whose scores lie farthest from the threshold, so that another processor's
    rounding cannot add or remove a box.
    """
    limits = np.array([threshold_of(threshold, label) for label in labels])
    clear = [_clearance(found, limits) for found in measured.detections]
    shown = [frozenset(truth.labels.tolist()) for truth in measured.truth]
    chosen: list[int] = []

    def take(candidates: Sequence[int], most: int) -> None:
        best = sorted(set(candidates) - set(chosen), key=lambda i: (-clear[i], i))
        chosen.extend(best[: max(0, min(most, MOST - len(chosen)))])

    missing = set(range(len(labels)))
    while len(chosen) < MOST - 1 and (gain := max((len(has & missing) for has in shown), default=0)):
        take([i for i, has in enumerate(shown) if len(has & missing) == gain], 1)
        missing -= shown[chosen[-1]]
    take([i for i, has in enumerate(shown) if not has], 1)
    take(range(len(shown)), LEAST - len(chosen))
    return sorted(chosen)


def _clearance(found: Detections, limits: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(np.abs(found.scores - limits[found.labels]).min(initial=1.0))
