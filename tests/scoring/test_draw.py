"""Annotated pictures: what is drawn where, and that an original is never touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scoring.detections import Detections
from scoring.draw import PALETTE, annotate, save_annotated

LABELS = ["cap", "no cap"]
FOUND = Detections(
    np.array([[0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.1, 0.1]], np.float32),
    np.array([0.9, 0.4], np.float32),
    np.array([0, 1], np.int64),
)


def has(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(picture) == colour).all(-1).any())


@pytest.mark.parametrize("ground", ["white", "black", PALETTE[0]])
def test_boxes_show_on_every_ground(ground: str | tuple[int, int, int]) -> None:
    """Both sides of an edge are far apart in lightness, also on the box's own colour."""
    picture = np.asarray(annotate(Image.new("RGB", (400, 400), ground), FOUND, LABELS).convert("L")).astype(int)
    across = picture[200, 90:115]  # the left side of the first box lies at 100
    assert across.max() - across.min() > 60


def test_the_original_stays_and_the_threshold_counts() -> None:
    image = Image.new("RGB", (200, 100), "grey")
    before = image.tobytes()
    everything = annotate(image, FOUND, LABELS)
    strong = annotate(image, FOUND, LABELS, score_threshold=0.5)
    assert image.tobytes() == before
    assert has(everything, PALETTE[0]) and has(everything, PALETTE[1])
    assert has(strong, PALETTE[0]) and not has(strong, PALETTE[1])


def test_lines_grow_with_the_image() -> None:
    def line_width(side: int) -> int:
        picture = np.asarray(annotate(Image.new("RGB", (side, side)), FOUND, LABELS))
        return int((picture[round(side * 0.7)] == PALETTE[0]).all(-1).sum()) // 2

    assert line_width(3000) > 3 * line_width(300)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3)])
def test_tiny_images_can_be_annotated(size: tuple[int, int]) -> None:
    assert annotate(Image.new("RGB", size), FOUND, LABELS).size == size


def test_nothing_found_is_the_same_picture() -> None:
    image = Image.new("RGB", (20, 20), "grey")
    assert annotate(image, Detections.none(), LABELS).tobytes() == image.tobytes()


def test_names_do_not_collide(tmp_path: Path) -> None:
    taken: set[Path] = set()
    sources = ("a/1.jpg", "b/1.jpeg", "1.tif")
    names = [save_annotated(Image.new("RGB", (8, 8)), Path(each), tmp_path, taken).name for each in sources]
    assert names == ["1.boxes.jpg", "1-2.boxes.jpg", "1.boxes.png"]


def test_an_input_is_never_replaced(tmp_path: Path) -> None:
    """Also not one that has the name which another input's annotated picture would take."""
    inputs = [tmp_path / "1.png", tmp_path / "1.boxes.png"]
    for path in inputs:
        Image.new("RGB", (8, 8), "grey").save(path)
    before = [path.read_bytes() for path in inputs]
    taken = {path.resolve() for path in inputs}
    assert save_annotated(Image.new("RGB", (8, 8)), inputs[0], tmp_path, taken).name == "1-2.boxes.png"
    assert [path.read_bytes() for path in inputs] == before
