"""One image to its boxes: what is said about it, and what the fast way of decoding a JPEG may change."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scoring.detector import Detector
from scoring.images import open_upright
from scoring.manifest import Preprocess
from scoring.scorer import score_image

Make = Callable[..., Path]


def jpeg(size: tuple[int, int], orientation: int = 1) -> bytes:
    """A smooth picture, so that every way of making it smaller agrees."""
    x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(np.stack([x, 0.8 * y, 0.6 * (255 - x)], -1).astype(np.uint8)).save(
        buffer, "JPEG", quality=95, exif=exif
    )
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("size", "spec", "decoded"),
    [
        ((640, 480), Preprocess((320, 320)), (320, 240)),
        ((640, 480), Preprocess((321, 321)), (640, 480)),  # half would be one pixel too few
        ((640, 480), Preprocess((416, 416)), (640, 480)),
        ((2000, 1500), Preprocess((256, 256)), (500, 375)),
        ((2048, 1536), Preprocess((256, 256)), (256, 192)),
        ((1001, 501), Preprocess((256, 256)), (501, 251)),  # what does not divide is rounded up
        ((640, 480), Preprocess((240, 320), resize="stretch"), (320, 240)),
        ((640, 480), Preprocess((320, 240), resize="stretch"), (640, 480)),  # the height is needed whole
        ((640, 200), Preprocess((64, 64)), (80, 25)),
    ],
)
def test_a_jpeg_is_decoded_no_larger_than_needed_and_no_smaller(
    size: tuple[int, int], spec: Preprocess, decoded: tuple[int, int]
) -> None:
    opened = open_upright(jpeg(size), fast_for=spec)
    assert opened.image.size == decoded
    assert (opened.width, opened.height) == size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_is_upright_and_its_size_is_the_files(orientation: int) -> None:
    """An input 100 wide and 400 high needs all rows of an upright image, which are the columns of a turned one."""
    data, spec = jpeg((800, 400), orientation), Preprocess((400, 100), resize="stretch")
    full, less = open_upright(data), open_upright(data, fast_for=spec)
    assert (less.width, less.height) == (full.width, full.height) == full.image.size
    turned = orientation >= 5
    assert less.image.size == ((200, 400) if turned else (800, 400))
    small = [np.asarray(each.image.resize((50, 50), Image.Resampling.BOX)).astype(int) for each in (full, less)]
    assert np.abs(small[0] - small[1]).max() <= 3


def test_other_formats_are_decoded_whole() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (640, 480)).save(buffer, "PNG")
    assert open_upright(buffer.getvalue(), fast_for=Preprocess((32, 32))).image.size == (640, 480)


def test_the_fast_way_answers_almost_the_same_and_says_the_files_size(tiny_bundle: Make) -> None:
    detector = Detector.load(tiny_bundle())
    data = jpeg((803, 602))
    full = score_image(detector, data, score_threshold=0.1)
    fast = score_image(detector, data, score_threshold=0.1, fast_jpeg=True)
    assert full.found is not None and fast.found is not None
    assert (fast.width, fast.height) == (full.width, full.height) == (803, 602)
    assert fast.found.labels.tolist() == full.found.labels.tolist()
    assert not np.array_equal(fast.found.scores, full.found.scores)  # it is another decoding
    assert np.allclose(fast.found.scores, full.found.scores, atol=0.01)
    assert np.allclose(fast.found.boxes, full.found.boxes, atol=2 / 602)


def test_a_cut_off_jpeg_is_an_error_either_way(tiny_bundle: Make) -> None:
    detector = Detector.load(tiny_bundle())
    for fast in (False, True):
        scored = score_image(detector, jpeg((640, 480))[:-3000], fast_jpeg=fast)
        assert scored.error is not None and (scored.found, scored.width) == (None, 0)
        assert scored.error.code == "truncated"
