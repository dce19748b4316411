"""The confusion matrix by hand, against another evaluator's, and its sums."""

from __future__ import annotations

import numpy as np
import pytest

from model_training.evaluation.confusion import confusion
from tests.evaluation.scenes import ELSEWHERE, A, B, C, found, image, scene

LABELS = ("a", "b", "c")


def test_by_hand() -> None:
    """A found, B taken for the other label, C missed, one false alarm, one detection below the threshold."""
    truth = [image([A, B, C], [0, 0, 1])]
    detections = [found([A, B, ELSEWHERE, C], [0, 1, 0, 1], [0.9, 0.8, 0.7, 0.1])]
    result = confusion(truth, detections, LABELS[:2], score_threshold=0.5)
    assert result.names == ("a", "b", "background")
    assert result.counts.tolist() == [[1, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_each_label_has_its_own_threshold() -> None:
    truth, detections = [image([A, C], [0, 1])], [found([A, C], [0, 1], [0.4, 0.4])]
    result = confusion(truth, detections, LABELS[:2], score_threshold={"a": 0.5, "b": 0.3})
    assert result.counts.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_crowds_are_neither_missed_nor_alarms() -> None:
    truth = [image([(0.0, 0.0, 0.6, 0.6)], [0], [True])]
    result = confusion(truth, [found([A], [0], [0.9])], LABELS[:1], score_threshold=0.5)
    assert result.counts.sum() == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_other_implementation_agrees(seed: int) -> None:
    from hotcoco import COCO, COCOeval

    truth, detections = scene(seed, crowds=False)
    rows = [
        [n, *_corner_size(box), score, label + 1]
        for n, each in enumerate(detections, 1)
        for box, score, label in zip(each.boxes, each.scores, each.labels, strict=True)
    ]
    expected = COCO.from_arrays(
        [{"id": n + 1, "width": 1, "height": 1} for n in range(len(truth))],
        [{"id": n + 1, "name": name} for n, name in enumerate(LABELS)],
        np.concatenate([np.full(len(t.labels), n) for n, t in enumerate(truth, 1)]),
        np.concatenate([t.labels for t in truth]) + 1,
        np.array([_corner_size(box) for t in truth for box in t.boxes]),
    )
    theirs = COCOeval(expected, expected.load_res(np.array(rows)), "bbox").confusion_matrix(0.5, 1000, 0.3)["matrix"]
    ours = confusion(truth, detections, LABELS, score_threshold=0.3).counts
    assert ours.sum(axis=1)[:3].tolist() == [sum((t.labels == k).sum() for t in truth) for k in range(3)]
    assert ours.sum(axis=0)[:3].tolist() == theirs.sum(axis=0)[:3].tolist()
    assert np.abs(ours.astype(int) - theirs.astype(int)).sum() <= 2  # equal overlaps may go to either object


def _corner_size(box: np.ndarray) -> list[float]:
    left, top, right, bottom = box.astype(np.float64).tolist()
    return [left, top, right - left, bottom - top]
