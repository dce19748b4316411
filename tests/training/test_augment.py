"""What is drawn and what is said stay together: boxes lie where their pixels went."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.evaluation.truth import GroundTruth
from model_training.training.augment import PAD, Augmentation, compose
from model_training.training.examples import Examples

SIZE = 96


def _example(boxes: list[tuple[int, int, int, int]], inner: tuple[int, int] = (SIZE, SIZE)) -> Examples:
    """One black picture with white rectangles."""
    pixels = np.full((1, SIZE, SIZE, 3), PAD, np.uint8)
    pixels[0, : inner[1], : inner[0]] = 0
    for left, top, right, bottom in boxes:
        pixels[0, top:bottom, left:right] = 255
    array = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.arange(len(boxes))
    truth = GroundTruth(array / SIZE, labels, np.zeros(len(boxes), bool), *inner)
    return Examples(pixels, np.array([inner]), (array,), (labels,), (truth,))


PLAIN = Augmentation(hue=0, saturation=0, brightness=0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.sampled_from([1, 4]), st.sampled_from([64, SIZE]))
def test_each_box_lies_on_its_pixels(seed: int, count: int, size: int) -> None:
    examples = _example([(30, 24, 66, 72)])
    picture = compose(examples, [0] * count, size, size / SIZE, np.random.default_rng(seed), PLAIN)
    assert picture.pixels.shape == (size, size, 3)
    assert (picture.boxes >= 0).all()
    assert (picture.boxes <= size).all()
    for left, top, right, bottom in picture.boxes:
        inside = picture.pixels[round(top) + 2 : round(bottom) - 2, round(left) + 2 : round(right) - 2]
        assert inside.size == 0 or inside.min() == 255


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31))
def test_white_pixels_are_all_within_some_box(seed: int) -> None:
    everything = Augmentation(hue=0, saturation=0, brightness=0, visible=0.0, smallest=0.0)
    picture = compose(_example([(10, 20, 50, 60)]), [0], SIZE, 1.0, np.random.default_rng(seed), everything)
    rows, columns = np.nonzero(picture.pixels[..., 0] > 250)
    left, top, right, bottom = picture.boxes[0] if len(picture.boxes) else (SIZE, SIZE, 0, 0)
    assert ((columns >= left - 1) & (columns <= right) & (rows >= top - 1) & (rows <= bottom)).all()


def test_what_is_hardly_seen_is_no_object() -> None:
    enlarged = Augmentation(scale=(3.0, 3.0), stretch=0.0, visible=0.9)
    examples = _example([(0, 0, 96, 96)])
    assert not len(compose(examples, [0], SIZE, 1.0, np.random.default_rng(1), enlarged).boxes)


def test_four_examples_share_the_canvas() -> None:
    pixels = np.stack([np.full((SIZE, SIZE, 3), value, np.uint8) for value in (10, 60, 160, 220)])
    none = (np.zeros((0, 4), np.float32),) * 4
    labels = (np.zeros(0, np.int64),) * 4
    examples = Examples(pixels, np.full((4, 2), SIZE), none, labels, ())
    picture = compose(examples, [0, 1, 2, 3], SIZE, 1.0, np.random.default_rng(5), PLAIN)
    corners = picture.pixels[[0, 0, -1, -1], [0, -1, 0, -1], 0]
    assert set(corners.tolist()) <= {10, 60, 160, 220, PAD}
    assert len(np.unique(picture.pixels[..., 0])) >= 3


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_colours_change_as_far_as_asked(strength: float) -> None:
    examples = _example([])
    examples.pixels[0][:] = (200, 80, 40)  # type: ignore[index]
    how = Augmentation(hue=0.1 * strength, saturation=0.6 * strength, brightness=0.4 * strength)
    picture = compose(examples, [0], SIZE, 1.0, np.random.default_rng(2), how)
    middle = picture.pixels[SIZE // 2, SIZE // 2].astype(int)
    assert (abs(middle - (200, 80, 40)).max() > 8) == bool(strength)
