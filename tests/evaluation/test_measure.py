"""Measuring a part with the served file."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_training.data.jsonl import read_rows, write_rows
from model_training.data.rows import Box, Row
from model_training.errors import DataError
from model_training.evaluation.measure import measure
from model_training.workspaces.base import Bundle, Event
from scoring.detector import Detector
from tests.packaging.shapes import blob_bundle, draw


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    bundle: Bundle = blob_bundle(tmp_path_factory.mktemp("measure") / "bundle")
    return Detector.load(bundle.path)


def test_every_image_in_order_with_progress(detector: Detector, tmp_path: Path) -> None:
    part = draw(tmp_path, "test", 19, 4)
    events: list[Event] = []
    metrics, truth, detections = measure(detector, part, score_threshold=0.5, reporter=events.append)
    assert metrics["images"] == len(truth) == len(detections) == 19
    assert metrics["mean_average_precision"] == 1.0
    assert [len(t.labels) for t in truth] == [len(row.boxes) for row in read_rows(part)]
    assert [event.data["done"] for event in events] == [8, 16, 19]
    assert (truth[0].width, truth[0].height) == (128, 128)


def test_average_precision_is_measured_below_the_threshold(detector: Detector, tmp_path: Path) -> None:
    part = draw(tmp_path, "test", 5, 4)
    metrics = measure(detector, part, score_threshold=0.9999).metrics
    assert metrics["mean_average_precision"] == 1.0
    assert metrics["mean_average_precision_at_threshold"] == 0.0


def test_labels_that_the_model_does_not_have_are_named(detector: Detector, tmp_path: Path) -> None:
    write_rows(tmp_path / "test.jsonl", [Row("a.png", boxes=(Box("tin", 0.1, 0.1, 0.2, 0.2),))])
    with pytest.raises(DataError, match="tin; it has: disc, square"):
        measure(detector, tmp_path / "test.jsonl", score_threshold=0.5)


def test_an_image_that_cannot_be_read_is_named(detector: Detector, tmp_path: Path) -> None:
    part = draw(tmp_path, "test", 2, 4)
    (tmp_path / "test1.png").write_bytes((tmp_path / "test1.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"test1\.png"):
        measure(detector, part, score_threshold=0.5)
