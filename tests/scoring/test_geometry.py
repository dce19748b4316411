"""Into the detector's input and back, for every way that a manifest may name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scoring.geometry import letterbox_uint8, place, preprocess, preprocess_into, unletterbox
from scoring.manifest import ANCHORS, RESIZES, Preprocess
from tests.scoring.pictures import picture

WAYS = [
    {"resize": resize, "anchor": anchor, "antialias": antialias}
    for resize, anchor, antialias in itertools.product(RESIZES, ANCHORS, (True, False))
]
SIZES = [(32, 32), (320, 320), (416, 640), (63, 40)]
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
side = st.integers(1, 700)


@settings(max_examples=300, deadline=None)
@given(width=side, height=side, size=st.sampled_from(SIZES), way=st.sampled_from(WAYS))
def test_the_images_corners_come_back_as_0_and_1(
    width: int, height: int, size: tuple[int, int], way: dict[str, str | bool]
) -> None:
    array, box = preprocess(Image.new("RGB", (width, height), "white"), Preprocess(size, **way))
    assert box == place(width, height, Preprocess(size, **way))
    assert (array == 1).sum() == 3 * box.width * box.height  # all of the image, and grey around it
    assert box.left >= 0 and box.left + box.width <= size[1]
    assert box.top >= 0 and box.top + box.height <= size[0]
    corners = (box.left, box.top, box.left + box.width, box.top + box.height)
    assert unletterbox([corners], box) == [[0, 0, 1, 1]]


@settings(max_examples=300, deadline=None)
@given(width=side, height=side, size=st.sampled_from(SIZES), way=st.sampled_from(WAYS), data=st.data())
def test_boxes_come_back_within_half_a_pixel(
    width: int, height: int, size: tuple[int, int], way: dict[str, str | bool], data: st.DataObject
) -> None:
    """Source pixels, by the two scales and the corner, into the input; then back to fractions of the source."""
    x, y = data.draw(st.floats(0, width)), data.draw(st.floats(0, height))
    box = place(width, height, Preprocess(size, **way))
    point = [x * box.scale_x + box.left, y * box.scale_y + box.top]
    back = unletterbox([point * 2], box)[0]
    assert abs(back[0] * width - x) < 0.5 and abs(back[1] * height - y) < 0.5


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())))
@pytest.mark.parametrize("size", [(50, 30), (200, 90), (64, 48)])
def test_a_square_is_found_where_the_box_says(way: dict[str, str | bool], size: tuple[int, int]) -> None:
    """The array itself: a bright square is where `place` puts it, grey is around the image."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[height // 3 : 2 * height // 3, width // 2 :] = 255
    spec = Preprocess((64, 48), **way)
    array, box = preprocess(Image.fromarray(pixels), spec)
    bright = np.argwhere(array[0] > 0.75)
    top, left = bright.min(axis=0)
    bottom, right = bright.max(axis=0) + 1
    found = unletterbox([(left, top, right, bottom)], box)[0]
    expected = (0.5, (height // 3) / height, 1, (2 * height // 3) / height)
    step = (1 / box.width, 1 / box.height) * 2
    assert (np.abs(np.subtract(found, expected)) <= np.array(step)).all()
    outside = np.ones((64, 48), bool)
    outside[box.top : box.top + box.height, box.left : box.left + box.width] = False
    assert (array[:, outside] == np.float32(114) * np.float32(1 / 255)).all()


def test_an_image_in_the_middle_leaves_the_odd_row_below() -> None:
    box = place(64, 31, Preprocess((64, 64), anchor="center"))
    assert (box.left, box.top, box.width, box.height) == (0, 16, 64, 31)


def test_shrinking_only_leaves_small_images_as_they_are() -> None:
    spec = Preprocess((64, 64), resize="letterbox_shrink")
    assert (place(20, 10, spec).width, place(20, 10, spec).height) == (20, 10)
    assert (place(128, 64, spec).width, place(128, 64, spec).height) == (64, 32)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    seed=st.integers(0, 99),
    normal=st.sampled_from([{}, IMAGENET]),
    pad=st.integers(0, 255),
)
def test_it_is_bit_for_bit_the_plain_formula(width: int, height: int, seed: int, normal: dict, pad: int) -> None:
    """Written into a batch channel by channel, as if the whole canvas were scaled, shifted and divided in turn."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    spec = Preprocess((40, 56), pad=pad, **normal)
    canvas, _ = letterbox_uint8(image, spec.size, pad)
    expected = canvas.transpose(2, 0, 1).astype(np.float32) * np.float32(spec.scale)
    mean, std = (np.asarray(each, np.float32)[:, None, None] for each in (spec.mean, spec.std))
    expected = (expected - mean) / std
    batch = np.full((3, 3, 40, 56), np.nan, np.float32)
    preprocess_into(image, spec, batch[1])
    assert np.array_equal(batch[1], expected)
    assert np.isnan(batch[[0, 2]]).all()


@pytest.mark.parametrize(
    ("source", "target"), [((500, 375), (320, 240)), ((100, 80), (640, 512)), ((333, 77), (64, 15))]
)
def test_without_antialias_it_is_what_opencv_does(source: tuple[int, int], target: tuple[int, int]) -> None:
    """Azure's yolov5 was trained on images that OpenCV made smaller."""
    import cv2

    rng = np.random.default_rng(3)
    pixels = cv2.GaussianBlur(rng.integers(0, 256, (source[1], source[0], 3), np.uint8), (0, 0), 1.0)
    expected = cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR).astype(int)
    spec = Preprocess((target[1], target[0]), resize="stretch", antialias=False)
    array, _ = preprocess(Image.fromarray(pixels), spec)
    assert np.abs(array.transpose(1, 2, 0) * 255 - expected).max() < 1.01


def test_the_letterbox_is_top_left_on_114() -> None:
    pixels, letterbox = letterbox_uint8(picture(40, 20), (64, 64))
    assert (letterbox.width, letterbox.height, letterbox.scale_x, letterbox.scale_y) == (64, 32, 1.6, 1.6)
    assert (pixels[32:] == 114).all()
    assert pixels[0, 0].tolist() == [250, 0, 0]
    assert pixels[31, 63].tolist() == [250, 250, 0]


def test_sides_round_half_to_even() -> None:
    _, up = letterbox_uint8(Image.new("RGB", (64, 3)), (32, 32))  # 1.5 -> 2
    _, down = letterbox_uint8(Image.new("RGB", (64, 5)), (32, 32))  # 2.5 -> 2
    assert (up.height, down.height) == (2, 2)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    pixels, _ = letterbox_uint8(Image.fromarray(stripes), (16, 16))
    assert np.abs(pixels.astype(int) - 100).max() <= 10


def test_preprocess_scales_then_subtracts_and_divides() -> None:
    grey = Image.new("RGB", (32, 32), (51, 102, 204))
    plain, _ = preprocess(grey, Preprocess((32, 32)))
    assert plain.dtype == np.float32
    assert np.allclose(plain[:, 0, 0], (0.2, 0.4, 0.8), atol=1e-6)
    spec = Preprocess((32, 32), mean=(0.2, 0.2, 0.2), std=(0.1, 0.2, 0.5))
    assert np.allclose(preprocess(grey, spec)[0][:, 0, 0], (0.0, 1.0, 1.2), atol=1e-5)


@settings(max_examples=200, deadline=None)
@given(
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    size=st.sampled_from([(32, 32), (320, 320), (416, 640)]),
    box=st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4),
)
def test_boxes_come_back_from_the_letterbox(width: int, height: int, size: tuple[int, int], box: list[float]) -> None:
    """Fractions -> input pixels -> fractions is the identity, whatever the sides."""
    _, letterbox = letterbox_uint8(Image.new("RGB", (width, height)), size)
    fractions = np.array([box], np.float32)
    pixels = fractions * np.array([letterbox.width, letterbox.height] * 2, np.float32)
    assert np.allclose(unletterbox(pixels.tolist(), letterbox), fractions, atol=1e-6)


def test_boxes_beyond_the_image_are_clipped() -> None:
    _, letterbox = letterbox_uint8(Image.new("RGB", (64, 32)), (64, 64))
    assert unletterbox([(-5, -5, 70, 60)], letterbox) == [[0, 0, 1, 1]]
