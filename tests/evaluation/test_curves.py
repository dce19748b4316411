"""The curves say what the metrics say."""

from __future__ import annotations

import numpy as np
import pytest

from model_training.evaluation.curves import ALL, curves
from model_training.evaluation.metrics import evaluate
from tests.evaluation.scenes import A, found, image, scene

LABELS = ("a", "b", "c")


def test_they_agree_with_the_metrics() -> None:
    truth, detections = scene(5)
    metrics = evaluate(truth, detections, LABELS, score_threshold=0.5)
    drawn = curves(truth, detections, LABELS, score_threshold=0.5)
    assert [curve.name for curve in drawn] == ["a", "b", "c", ALL]
    for curve in drawn[:-1]:
        numbers = metrics["per_label"][curve.name]
        assert curve.average_precision == numbers["average_precision"]
        assert curve.f1[np.searchsorted(curve.thresholds, 0.5)] == pytest.approx(numbers["f1"])
        assert (np.diff(curve.recall) >= 0).all()
        assert (np.diff(curve.precision) <= 0).all()
        steps = np.diff(np.concatenate([[0], curve.recall]))
        assert (steps * curve.precision).sum() == pytest.approx(numbers["average_precision"])
    assert drawn[-1].f1[np.searchsorted(drawn[-1].thresholds, 0.5)] == pytest.approx(metrics["f1"])


def test_a_label_without_objects_has_no_curve() -> None:
    drawn = curves([image([A], [0])], [found([A], [1], [0.9])], LABELS[:2], score_threshold={"a": 0.1, "b": 0.2})
    assert drawn[1].average_precision is None
    assert drawn[1].recall.size == 0
    assert [curve.operating for curve in drawn] == [0.1, 0.2, None]
