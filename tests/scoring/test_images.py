"""Decoding within limits, and the geometry that training, measuring and serving share."""

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
from scoring.images import ImageLimits, letterbox_uint8, open_image, preprocess, unletterbox
from scoring.manifest import Preprocess

QUADRANTS = np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [250, 250, 0]]], np.uint8)  # red green / blue yellow


def picture(width: int = 40, height: int = 24) -> Image.Image:
    return Image.fromarray(QUADRANTS).resize((width, height), Image.Resampling.NEAREST)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_of_declared_size(width: int, height: int) -> bytes:
    """A valid grey PNG of one bit a pixel, compressed to almost nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pack = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def code_of(data: bytes, limits: ImageLimits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        open_image(data, limits)
    return caught.value.code


def test_a_small_file_of_400_megapixels_is_refused_from_its_header() -> None:
    bomb = png_of_declared_size(20_000, 20_000)
    assert len(bomb) < 50 * 1024
    assert code_of(bomb) == "image_too_large"


@pytest.mark.parametrize(
    ("width", "height", "fits"),
    [(100, 100, True), (101, 100, False)],  # the limit itself is allowed, one row more is not
)
def test_the_pixel_limit_is_exact(width: int, height: int, fits: bool) -> None:
    limits = ImageLimits(max_pixels=10_000)
    data = encoded(picture(width, height))
    if fits:
        assert open_image(data, limits).size == (width, height)
    else:
        assert code_of(data, limits) == "image_too_large"


def test_100_megapixels_are_refused_by_our_limit_and_not_by_a_warning() -> None:
    assert code_of(png_of_declared_size(10_000, 10_000)) == "image_too_large"


def test_bytes_over_the_limit_are_refused_from_memory_and_from_a_file(tmp_path: Path) -> None:
    data = encoded(picture())
    limits = ImageLimits(max_bytes=len(data) - 1)
    (tmp_path / "a.png").write_bytes(data)
    assert code_of(data, limits) == "image_too_large"
    with pytest.raises(ImageError, match=f"found {len(data)} bytes"):
        open_image(tmp_path / "a.png", limits)


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


def test_one_pixel_is_an_image() -> None:
    opened = open_image(encoded(Image.new("RGB", (1, 1), (1, 2, 3))))
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
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert open_image(bytes(raw)).mode == "RGB"
    except ImageError as error:
        assert error.code in ("not_an_image", "format_not_allowed", "image_too_large", "truncated")


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
    assert np.allclose(unletterbox(pixels, letterbox), fractions, atol=1e-6)


def test_boxes_beyond_the_image_are_clipped() -> None:
    _, letterbox = letterbox_uint8(Image.new("RGB", (64, 32)), (64, 64))
    outside = np.array([[-5, -5, 70, 60]], np.float32)
    assert unletterbox(outside, letterbox).tolist() == [[0, 0, 1, 1]]
