"""The numbers that say how good a detector is (CONTRACTS 5). What is undefined is None, never -1, 0 or NaN.

Two families that cannot be mixed up: `mean_average_precision` is VOC's (area under the curve, IoU .5, every detection);
`coco_*` are COCO's (101 recalls, IoU .5 to .95, 100 detections a label and image). Precision, recall and F1 are counted
at the operating threshold stated in `precision_recall_at`, over all labels together. Knows no files and no models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model_training.errors import DataError
from model_training.evaluation.average_precision import Counts, average_precision, counts_at, mean
from model_training.evaluation.coco import CocoSummary, coco_summary
from model_training.evaluation.matching import MATCH_IOU, Ranking, rank
from model_training.evaluation.thresholds import choose_from
from model_training.evaluation.truth import GroundTruth, ground_truth
from scoring.detections import Detections

__all__ = ["GroundTruth", "Threshold", "evaluate", "ground_truth", "threshold_of"]

Threshold = float | Mapping[str, float]


def evaluate(
    truth: Sequence[GroundTruth],
    detections: Sequence[Detections],
    labels: Sequence[str],
    *,
    score_threshold: Threshold | None = None,
) -> dict[str, Any]:
    """Metrics of one detector on one part. Detections should go down to .001: average precision is measured on all.

    `score_threshold` is one number or one a label; None chooses by best F1 on this very data (for validation only) and
    returns the choice. A label without objects has null numbers and does not enter the means.

    Raises:
        DataError: truth and detections of a different number of images, a label that the model does not have, or a
            score that is not a number (a model that has diverged).
    """
    _check(truth, detections, labels)
    rankings = rank(truth, detections, len(labels))
    if score_threshold is None:
        score_threshold = choose_from(rankings, labels).per_label
    thresholds = [threshold_of(score_threshold, label) for label in labels]
    at_threshold = [counts_at(ranking, t) for ranking, t in zip(rankings, thresholds, strict=True)]
    coco = coco_summary(truth, detections, len(labels))
    total = sum(at_threshold, Counts(0, 0, 0))
    everything = sum((counts_at(ranking, 0.0) for ranking in rankings), Counts(0, 0, 0))
    kept = [average_precision(ranking, threshold=t) for ranking, t in zip(rankings, thresholds, strict=True)]
    return {
        "images": len(truth),
        "mean_average_precision": mean([average_precision(ranking) for ranking in rankings]),
        "coco_ap": coco.ap,
        "coco_ap50": coco.ap50,
        "coco_ap75": coco.ap75,
        "coco_ap_small": coco.small,
        "coco_ap_medium": coco.medium,
        "coco_ap_large": coco.large,
        "precision": total.precision,
        "recall": total.recall,
        "f1": total.f1,
        "precision_recall_at": {"iou": MATCH_IOU, "score": _plain(score_threshold)},
        "mean_average_precision_at_threshold": mean(kept),
        "precision_at_max_recall": everything.precision,
        "per_label": _per_label(labels, rankings, at_threshold, coco),
    }


def threshold_of(score_threshold: Threshold, label: str) -> float:
    """This label's own threshold, or the one number that stands for all."""
    return float(score_threshold[label] if isinstance(score_threshold, Mapping) else score_threshold)


def _per_label(
    labels: Sequence[str], rankings: Sequence[Ranking], counts: Sequence[Counts], coco: CocoSummary
) -> dict[str, dict[str, Any]]:
    return {
        label: {
            "average_precision": average_precision(ranking),
            "coco_ap": coco_ap,
            "precision": count.precision,
            "recall": count.recall,
            "f1": count.f1,
            "ground_truth": count.truth,
            "predictions": count.predictions,
        }
        for label, ranking, count, coco_ap in zip(labels, rankings, counts, coco.per_label, strict=True)
    }


def _plain(score_threshold: Threshold) -> float | dict[str, float]:
    if isinstance(score_threshold, Mapping):
        return {label: float(value) for label, value in score_threshold.items()}
    return float(score_threshold)


def _check(truth: Sequence[GroundTruth], detections: Sequence[Detections], labels: Sequence[str]) -> None:
    if len(truth) != len(detections):
        raise DataError(f"expected detections of {len(truth)} images, found {len(detections)}")
    numbers = np.concatenate([np.zeros(0, np.int64), *(t.labels for t in truth), *(d.labels for d in detections)])
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(labels):
        raise DataError(
            f"expected label numbers 0 to {len(labels) - 1}, found {numbers.min()} to {numbers.max()}",
            hint="the data and the model must use the same labels in the same order",
        )
    if not all(np.isfinite(d.scores).all() and np.isfinite(d.boxes).all() for d in detections):
        raise DataError(
            "expected finite scores and boxes from the detector, found NaN or infinity",
            hint="the training has diverged: lower the learning rate",
        )
