"""The metrics against a hand-computed example, against another evaluator, and where they are undefined."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.errors import DataError
from model_training.evaluation.metrics import GroundTruth, evaluate
from scoring.detections import Detections
from tests.evaluation.scenes import ELSEWHERE, A, B, C, found, image, scene


def test_average_precision_by_hand() -> None:
    """Found, missed, found, found of four objects: precision 1, 1/2, 2/3, 3/4; envelope 1, 3/4, 3/4; area 2.5 / 4."""
    truth = [image([A, B, C, (0.6, 0.1, 0.7, 0.3)], [0, 0, 0, 0])]
    detections = [found([A, ELSEWHERE, B, C], [0] * 4, [0.9, 0.8, 0.7, 0.6])]
    metrics = evaluate(truth, detections, ["can"], score_threshold=0.65)
    assert metrics["mean_average_precision"] == pytest.approx(2.5 / 4)
    assert metrics["mean_average_precision_at_threshold"] == pytest.approx((1 + 2 / 3) / 4)
    assert metrics["precision"] == pytest.approx(2 / 3)
    assert metrics["recall"] == pytest.approx(2 / 4)
    assert metrics["f1"] == pytest.approx(4 / 7)
    assert metrics["precision_at_max_recall"] == pytest.approx(3 / 4)
    assert metrics["precision_recall_at"] == {"iou": 0.5, "score": 0.65}
    assert metrics["per_label"]["can"]["predictions"] == 3


def test_two_boxes_on_one_object_count_once() -> None:
    metrics = evaluate([image([A], [0])], [found([A, A], [0, 0], [0.9, 0.8])], ["can"], score_threshold=0.1)
    assert (metrics["precision"], metrics["recall"]) == (0.5, 1.0)


def test_the_right_box_with_the_wrong_label_is_a_miss_and_a_false_alarm() -> None:
    metrics = evaluate([image([A], [0])], [found([A], [1], [0.9])], ["can", "tin"], score_threshold=0.1)
    assert (metrics["precision"], metrics["recall"]) == (0.0, 0.0)
    assert metrics["per_label"]["tin"]["average_precision"] is None
    assert metrics["per_label"]["tin"]["precision"] == 0.0
    assert metrics["mean_average_precision"] == 0.0  # of "can" alone


def test_a_crowd_counts_neither_for_nor_against() -> None:
    truth = [image([A, (0.4, 0.4, 1.0, 1.0)], [0, 0], [False, True])]
    detections = [found([A, B, (0.5, 0.6, 0.8, 0.9)], [0, 0, 0], [0.9, 0.8, 0.7])]
    metrics = evaluate(truth, detections, ["can"], score_threshold=0.1)
    assert (metrics["precision"], metrics["recall"]) == (1.0, 1.0)
    assert metrics["per_label"]["can"]["ground_truth"] == 1


def test_a_threshold_for_each_label() -> None:
    truth = [image([A, B], [0, 1])]
    detections = [found([A, B, C], [0, 1, 1], [0.9, 0.05, 0.04])]
    metrics = evaluate(truth, detections, ["can", "tin"], score_threshold={"can": 0.5, "tin": 0.045})
    assert (metrics["precision"], metrics["recall"]) == (1.0, 1.0)
    assert metrics["precision_recall_at"]["score"] == {"can": 0.5, "tin": 0.045}


def test_without_objects_everything_is_null() -> None:
    metrics = evaluate([image([], [])], [found([A], [0], [0.9])], ["can"], score_threshold=0.5)
    for name in ("mean_average_precision", "coco_ap", "recall", "f1", "mean_average_precision_at_threshold"):
        assert metrics[name] is None, name
    assert metrics["precision"] == 0.0  # one detection, and it is wrong


def test_without_detections_recall_is_zero_and_precision_is_null() -> None:
    metrics = evaluate([image([A], [0])], [Detections.none()], ["can"], score_threshold=0.5)
    assert (metrics["mean_average_precision"], metrics["coco_ap"], metrics["recall"], metrics["f1"]) == (0, 0, 0, 0)
    assert metrics["precision"] is None
    assert metrics["precision_at_max_recall"] is None


def test_without_images() -> None:
    metrics = evaluate([], [], ["can"])
    assert metrics["images"] == 0
    assert metrics["mean_average_precision"] is None


def test_areas_are_those_of_the_original_pixels() -> None:
    """20 px is small, 80 px medium, 120 px large on this image of 400 px."""
    boxes = [(0.0, 0.0, 0.05, 0.05), (0.2, 0.2, 0.4, 0.4), (0.5, 0.5, 0.8, 0.8)]
    metrics = evaluate([image(boxes, [0, 0, 0])], [found(boxes[1:], [0, 0], [0.9, 0.8])], ["can"], score_threshold=0.1)
    assert metrics["coco_ap_small"] == 0.0
    assert metrics["coco_ap_medium"] == pytest.approx(1.0)
    assert metrics["coco_ap_large"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("detections", "word"),
    [
        ([], "2 images"),  # one part was not run
        ([found([A], [7], [0.9]), Detections.none()], "label numbers"),  # a model of other labels
        ([found([A], [0], [float("nan")]), Detections.none()], "NaN"),  # a model that has diverged
    ],
)
def test_what_cannot_be_measured_is_refused(detections: list[Detections], word: str) -> None:
    with pytest.raises(DataError, match=word):
        evaluate([image([A], [0]), image([], [])], detections, ["can"])


def oracle(truth: list[GroundTruth], detections: list[Detections], classes: int, recalls: int) -> np.ndarray:
    """faster-coco-eval's precision array (iou, recall, label, area, detections)."""
    from faster_coco_eval import COCO, COCOeval_faster

    def corner_size(boxes: np.ndarray, image: GroundTruth) -> list[list[float]]:
        pixels = boxes.astype(np.float64) * [image.width, image.height, image.width, image.height]
        return np.concatenate([pixels[:, :2], pixels[:, 2:] - pixels[:, :2]], axis=1).tolist()

    annotations, results = [], []
    for number, (real, guess) in enumerate(zip(truth, detections, strict=True), 1):
        for box, label, crowd in zip(corner_size(real.boxes, real), real.labels, real.crowd, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(label) + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(crowd),
                }
            )
        for box, label, score in zip(corner_size(guess.boxes, real), guess.labels, guess.scores, strict=True):
            results.append({"image_id": number, "category_id": int(label) + 1, "bbox": box, "score": float(score)})
    images = [{"id": n, "width": t.width, "height": t.height} for n, t in enumerate(truth, 1)]
    categories = [{"id": label + 1, "name": str(label)} for label in range(classes)]
    with contextlib.redirect_stdout(io.StringIO()):
        expected = COCO({"images": images, "annotations": annotations, "categories": categories})
        evaluation = COCOeval_faster(expected, expected.loadRes(results), "bbox")
        evaluation.params.recThrs = np.linspace(0, 1, recalls)
        evaluation.evaluate()
        evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])


@pytest.mark.parametrize("seed", range(4))
def test_the_other_evaluator_agrees(seed: int) -> None:
    truth, detections = scene(seed)
    metrics = evaluate(truth, detections, ["a", "b", "c"], score_threshold=0.3)
    precision = oracle(truth, detections, 3, 101)
    every = precision[:, :, :, 0, -1]
    assert metrics["coco_ap"] == pytest.approx(every[every > -1].mean(), abs=1e-9)
    assert metrics["coco_ap50"] == pytest.approx(every[0][every[0] > -1].mean(), abs=1e-9)
    for position, name in ((1, "small"), (2, "medium"), (3, "large")):
        of_area = precision[:, :, :, position, -1]
        defined = of_area[of_area > -1]
        expected = pytest.approx(defined.mean(), abs=1e-9) if defined.size else None
        assert metrics[f"coco_ap_{name}"] == expected
    # at very many recalls COCO's average becomes the area under the curve, which is VOC's
    fine = oracle(truth, detections, 3, 20001)[0, :, :, 0, -1]
    assert metrics["mean_average_precision"] == pytest.approx(fine.mean(), abs=2e-4)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.2, 0.9))
def test_only_the_order_of_scores_matters_to_average_precision(seed: int, scale: float) -> None:
    truth, detections = scene(seed, images=4)
    lower = [Detections(d.boxes, (d.scores * np.float32(scale)).astype(np.float32), d.labels) for d in detections]
    one = evaluate(truth, detections, ["a", "b", "c"], score_threshold=0.0)
    other = evaluate(truth, lower, ["a", "b", "c"], score_threshold=0.0)
    assert one["mean_average_precision"] == pytest.approx(other["mean_average_precision"], abs=1e-9)
    assert one["coco_ap"] == pytest.approx(other["coco_ap"], abs=1e-9)
