"""Every format, colour space, orientation and damage: an upright RGB picture or an error with a code."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scoring.errors import ImageError, NotFoundError
from scoring.images import ImageLimits, open_image, open_upright, preprocess
from scoring.manifest import Preprocess
from tests.scoring.pictures import QUADRANTS, chunk, code_of, encoded, picture


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_an_image"),
        (b"hello, this is text", "not_an_image"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),  # a signature and nothing else
        (encoded(picture(), "GIF"), "format_not_allowed"),
        (b"%PDF-1.7 ...", "format_not_allowed"),
        (b"\x00\x00\x00\x18ftypheic", "format_not_allowed"),
        (encoded(picture(), "JPEG")[:-200], "truncated"),
        (encoded(picture(400, 300), "PNG")[:-40], "truncated"),
        (encoded(picture(400, 300), "WEBP")[:-100], "truncated"),
    ],
)
def test_what_cannot_be_decoded_has_a_code(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_the_allow_list_is_the_callers() -> None:
    assert code_of(encoded(picture(), "BMP"), ImageLimits(formats=("JPEG",))) == "format_not_allowed"
    assert open_image(encoded(picture(), "BMP")).size == (40, 24)


@pytest.mark.parametrize("coding", [1, 2], ids=["RLE8", "RLE4"])
def test_a_bmp_with_run_length_coding_is_refused(coding: int) -> None:
    """Pillow decodes it in Python, pixel by pixel: a few bytes a row could take a worker for seconds."""
    bits = 8 // coding
    palette = b"\0\0\0\0" * 2**bits
    info = struct.pack("<IiiHHIIiiII", 40, 40, 24, 1, bits, coding, 2, 0, 0, 2**bits, 0)
    data = info + palette
    data = b"BM" + struct.pack("<IHHI", 14 + len(data) + 2, 0, 0, 14 + len(data)) + data + b"\0\1"
    assert Image.open(io.BytesIO(data)).size == (40, 24)
    assert code_of(data) == "format_not_allowed"


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_a_bmp_of_few_colours_is_not(mode: str) -> None:
    assert open_image(encoded(picture().convert(mode), "BMP")).size == (40, 24)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.png"):
        open_image(tmp_path / "none.png")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_the_same_pixels(kind: str) -> None:
    assert np.array_equal(np.asarray(open_image(encoded(picture(), kind))), np.asarray(picture()))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_only_the_first_frame_of_an_animation_counts(kind: str) -> None:
    second = Image.new("RGB", (40, 24), "black")
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(picture(), kind, save_all=True, append_images=[second], **options)
    assert np.array_equal(np.asarray(open_image(data)), np.asarray(picture()))


def test_cmyk_becomes_rgb() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.allclose(np.asarray(open_image(encoded(red, "JPEG", quality=100))), (255, 0, 0), atol=4)


def test_sixteen_bit_grey_keeps_its_high_byte() -> None:
    grey = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        opened = np.asarray(open_image(encoded(Image.fromarray(grey), kind)))
        assert np.array_equal(opened[..., 0].ravel(), np.arange(256))


def test_floating_point_pixels_are_refused() -> None:
    assert code_of(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")) == "format_not_allowed"


def test_sixteen_bit_colour_keeps_its_high_byte() -> None:
    """Pillow writes no such PNG; three channels of 16 bits, one row of two pixels."""
    row = b"\0" + struct.pack(">6H", 0x12FF, 0x8000, 0xFFFF, 0, 0x00FF, 0x0100)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    assert np.asarray(open_image(data)).tolist() == [[[0x12, 0x80, 0xFF], [0, 0, 1]]]


def test_transparency_is_laid_on_white() -> None:
    secret = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    secret.putpixel((1, 0), (10, 20, 30, 255))
    expected = [[[255, 255, 255], [10, 20, 30]]]
    assert np.asarray(open_image(encoded(secret))).tolist() == expected
    grey = Image.new("LA", (1, 1), (90, 0))
    assert np.asarray(open_image(encoded(grey))).tolist() == [[[255, 255, 255]]]


def test_a_palette_with_alpha_is_laid_on_white() -> None:
    indexed = Image.new("P", (2, 1))
    indexed.putpalette([10, 20, 30, 40, 50, 60])
    indexed.putpixel((1, 0), 1)
    data = encoded(indexed, transparency=b"\x00\xff")
    assert np.asarray(open_image(data)).tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_every_exif_orientation_comes_out_upright(orientation: int, kind: str) -> None:
    """A camera that stores the upright picture turned by `orientation` must give the upright picture back."""
    inverse = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = picture() if inverse is None else picture().transpose(inverse)
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(encoded(stored, kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {})))
    assert opened.size == (40, 24)
    corners = np.asarray(opened)[[2, 2, -3, -3], [2, -3, 2, -3]].astype(int)
    assert np.abs(corners - QUADRANTS.reshape(4, 3)).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_one_pixel_is_an_image(kind: str) -> None:
    opened = open_image(encoded(Image.new("RGB", (1, 1), (1, 2, 3)), kind))
    assert opened.size == (1, 1)
    array, letterbox = preprocess(opened, Preprocess((32, 64)))
    assert array.shape == (3, 32, 64)
    assert (letterbox.width, letterbox.height) == (32, 32)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own notes about damaged tags
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_byte_gives_an_image_or_an_image_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP"]))
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = bytearray(encoded(picture(), kind, **({} if kind == "BMP" else {"exif": exif})))
    fast_for = data.draw(st.sampled_from([None, Preprocess((8, 8))]))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        opened = open_upright(bytes(raw), fast_for=fast_for)
        assert opened.image.mode == "RGB"
        assert preprocess(opened.image, Preprocess((32, 32)))[0].shape == (3, 32, 32)
    except ImageError as error:
        assert error.code in ("not_an_image", "format_not_allowed", "image_too_large", "truncated")
