"""Faster R-CNN and RetinaNet as the service leaves them, through the one detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scoring.detector import Detector
from scoring.errors import IncompatibleError
from tests.scoring.graphs.exports import STRETCH, torchvision_like

Make = Callable[..., Path]
RCNN, RETINA = "automl_fasterrcnn", "automl_retinanet"
FAMILIES = {
    RCNN: (("boxes_0", "labels_0", "scores_0"), 1),  # after "--bg--"
    RETINA: (("boxes_0", "scores_0", "labels_0"), 0),
}
UNNAMED = {RCNN: ("?boxes", "?labels", "?scores"), RETINA: ("?boxes", "?scores", "?labels")}


def colour(red: int, green: int, blue: int, size: tuple[int, int] = (160, 60)) -> Image.Image:
    return Image.new("RGB", size, (red, green, blue))


@pytest.mark.parametrize("kind", FAMILIES)
def test_boxes_are_stretched_back_and_labels_are_the_manifests(automl_bundle: Make, kind: str) -> None:
    """160 x 60 is squeezed to 80 x 60: fractions of the input are fractions of the image."""
    names, first = FAMILIES[kind]
    detector = Detector.load(automl_bundle(torchvision_like(names, first), kind, preprocess=STRETCH))
    [found] = detector.detect([colour(255, 10, 204)])
    assert found.labels.tolist() == [0, 2]
    assert np.allclose(found.scores, (1.0, 0.8), atol=1e-5)
    assert found.boxes.tolist() == [[0, 0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.75]]


@pytest.mark.parametrize("kind", FAMILIES)
def test_as_many_boxes_as_objects_and_none_where_there_are_none(automl_bundle: Make, kind: str) -> None:
    names, first = FAMILIES[kind]
    detector = Detector.load(automl_bundle(torchvision_like(names, first), kind, preprocess=STRETCH))
    images = [colour(0, 0, 0), colour(255, 255, 255), colour(200, 0, 0), colour(9, 9, 9)]
    assert [len(found) for found in detector.detect(images, batch_size=8)] == [0, 3, 1, 0]


@pytest.mark.parametrize("kind", FAMILIES)
def test_outputs_without_names_are_taken_in_the_documented_order(automl_bundle: Make, kind: str) -> None:
    graph = torchvision_like(UNNAMED[kind], FAMILIES[kind][1])
    [found] = Detector.load(automl_bundle(graph, kind, preprocess=STRETCH)).detect([colour(10, 250, 10)])
    assert found.labels.tolist() == [1]


@pytest.mark.parametrize("kind", FAMILIES)
def test_outputs_in_another_order_than_documented_are_refused(automl_bundle: Make, kind: str) -> None:
    other = RETINA if kind == RCNN else RCNN
    with pytest.raises(IncompatibleError, match="expected a graph that answers boxes"):
        Detector.load(automl_bundle(torchvision_like(UNNAMED[other], 1), kind, preprocess=STRETCH))


def test_background_is_no_object(automl_bundle: Make) -> None:
    graph = torchvision_like(FAMILIES[RCNN][0], 0)  # the red channel's label is 0 then
    [found] = Detector.load(automl_bundle(graph, RCNN, preprocess=STRETCH)).detect([colour(255, 200, 200)])
    assert found.labels.tolist() == [0, 1]


def test_thresholds_and_the_most_boxes_hold(automl_bundle: Make) -> None:
    names, first = FAMILIES[RETINA]
    post = {"score_threshold": {"blue cap": 0.9, "green, cap": 0.1, "red-cap": 0.1}, "max_boxes": 1}
    detector = Detector.load(
        automl_bundle(torchvision_like(names, first), RETINA, preprocess=STRETCH, postprocess=post)
    )
    [found] = detector.detect([colour(220, 180, 200)])  # .86 is below .9; of .71 and .78 one may stay
    assert found.labels.tolist() == [2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ["one", "two"]}, "label 2, the manifest has 2"),
        ({"scores": "nan"}, "not finite"),
        ({"scores": "logits"}, "answers scores from -2 to 4"),
    ],
)
def test_nonsense_is_an_error_and_not_an_empty_answer(
    automl_bundle: Make, changes: dict[str, list[str] | str], words: str
) -> None:
    names, first = FAMILIES[RCNN]
    scores = str(changes.pop("scores", "score"))
    graph = torchvision_like(names, first, scores=scores)
    detector = Detector.load(automl_bundle(graph, RCNN, preprocess=STRETCH, **changes))
    with pytest.raises(IncompatibleError, match=words):
        detector.detect([colour(255, 255, 255)])


def test_labels_that_are_no_numbers_of_labels_are_refused(automl_bundle: Make) -> None:
    names, first = FAMILIES[RCNN]
    with pytest.raises(IncompatibleError, match=r"found .*labels_0 tensor\(float\)"):
        Detector.load(automl_bundle(torchvision_like(names, first, labels_type="FLOAT"), RCNN, preprocess=STRETCH))


def test_an_export_for_batches_of_eight_is_refused(automl_bundle: Make) -> None:
    names, first = FAMILIES[RCNN]
    with pytest.raises(IncompatibleError, match="a batch of 1, found 8"):
        Detector.load(automl_bundle(torchvision_like(names, first, batch=8), RCNN, preprocess=STRETCH))


def test_a_graph_of_this_project_is_not_taken_for_one_of_the_service(
    automl_bundle: Make, tiny_graph: Callable[..., bytes]
) -> None:
    with pytest.raises(IncompatibleError, match="kind automl_fasterrcnn with one input, found images, score_threshold"):
        Detector.load(automl_bundle(tiny_graph(), RCNN, preprocess={"size": [32, 32]}))
