"""Image bytes to upright RGB pixels, with every limit checked before pixels are decoded.

Knows nothing about models, files' names or HTTP. What is decided here: the first frame only; EXIF orientation applied;
transparency is laid on white (what a viewer shows, and nothing hidden under it leaks in); 16-bit grey keeps its high
byte; CMYK becomes RGB.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from scoring.errors import ImageError, NotFoundError
from scoring.geometry import Letterbox, letterbox_uint8, place, preprocess, unletterbox
from scoring.manifest import Preprocess
from scoring.pieces import expect_few_pieces

__all__ = [
    "MIB",
    "ImageLimits",
    "Letterbox",
    "Opened",
    "letterbox_uint8",
    "no_memory",
    "open_image",
    "open_upright",
    "preprocess",
    "unletterbox",
]

MIB = 1 << 20

# What Pillow's decoders raise on damaged files; found by changing bytes at random (tests/scoring/test_images.py).
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
)
_SIGNATURES = (  # offset, bytes, Pillow's name (or ours, for what is never allowed)
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"BM", "BMP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"GIF8", "GIF"),
    (4, b"ftyp", "HEIC, AVIF or video"),
    (4, b"jP", "JPEG 2000"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"8BPS", "PSD"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
)
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED = (5, 6, 7, 8)  # width becomes height
_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class ImageLimits:
    """What is refused before decoding. `formats` are Pillow's names."""

    max_bytes: int = 32 * MIB
    max_pixels: int = 40_000_000
    formats: tuple[str, ...] = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")


class Opened(NamedTuple):
    """`image` is RGB and upright; `width` and `height` are what the file holds, also where fewer were decoded."""

    image: Image.Image
    width: int
    height: int


def open_image(source: Path | bytes, limits: ImageLimits | None = None) -> Image.Image:
    """Decode one image: RGB, upright, first frame.

    Raises: ImageError (not_an_image, format_not_allowed, image_too_large, truncated); NotFoundError.
    """
    return open_upright(source, limits).image


def open_upright(
    source: Path | bytes, limits: ImageLimits | None = None, *, fast_for: Preprocess | None = None
) -> Opened:
    """The same with its size. With `fast_for` a JPEG is decoded at 1/2, 1/4 or 1/8 where that input needs no more.

    Registered metrics are computed without it: pixels, and so scores, change a little (benchmarks/fast_jpeg.py). Where
    a side is no multiple of the divisor, its last pixel stands for a little less than the others.
    """
    try:
        return _opened(source, limits or ImageLimits(), fast_for)
    except MemoryError as error:
        raise no_memory() from error


def no_memory() -> ImageError:
    """For one image, while there may be enough for the next."""
    return ImageError(
        "expected enough memory to decode the image, found too little",
        code="image_too_large",
        hint="make the image smaller, or give the process more memory or fewer --workers",
    )


def _opened(source: Path | bytes, limits: ImageLimits, fast_for: Preprocess | None) -> Opened:
    image = _open_header(_read(source, limits), limits)
    full = image.size
    if full[0] * full[1] > limits.max_pixels:
        raise _too_large(f"{full[0]} x {full[1]} pixels", limits)
    if any(tile[0] == "bmp_rle" for tile in image.tile):
        raise ImageError(
            "expected a BMP image without run-length coding, which takes seconds to decode, found one with it",
            code="format_not_allowed",
            hint="convert it to PNG",
        )
    try:
        if fast_for is not None and image.format == "JPEG":
            _decode_less(image, fast_for)
        less = image.size != full
        image.load()
    except _DECODE_ERRORS as error:
        raise _damaged(image.format or "", str(error)) from error
    orientation = _orientation(image)  # after `load`: Pillow turns a TIFF itself, and then there is none
    transpose = _ORIENTATIONS.get(orientation)
    rgb = _to_rgb(image)
    upright = rgb if transpose is None else rgb.transpose(transpose)
    return Opened(upright, *((full[::-1] if orientation in _TURNED else full) if less else upright.size))


def _decode_less(image: Image.Image, spec: Preprocess) -> None:
    """No side becomes smaller than it will be in the detector's input."""
    turned = _orientation(image) in _TURNED
    box = place(*(image.size[::-1] if turned else image.size), spec)
    image.draft(None, (box.height, box.width) if turned else (box.width, box.height))


def _read(source: Path | bytes, limits: ImageLimits) -> bytes:
    if isinstance(source, bytes):
        if len(source) > limits.max_bytes:
            raise _too_large(f"{len(source)} bytes", limits)
        return source
    try:
        with source.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no image {source}", hint="check the path") from error
    if len(data) > limits.max_bytes:
        raise _too_large(f"{source.stat().st_size} bytes", limits)
    return data


def _open_header(data: bytes, limits: ImageLimits) -> ImageFile.ImageFile:
    expect_few_pieces(data)
    try:
        return Image.open(io.BytesIO(data), formats=limits.formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\d+ pixels", str(error))  # Pillow's own limit, which is above all of ours
        raise _too_large(found[0] if found else "more", limits) from error
    except _DECODE_ERRORS as error:
        raise _unidentified(data, limits) from error


def _unidentified(data: bytes, limits: ImageLimits) -> ImageError:
    kind = next((name for at, magic, name in _SIGNATURES if data.startswith(magic, at)), "")
    allowed = ", ".join(limits.formats)
    if kind in limits.formats:
        return _damaged(kind, "its header cannot be read")
    if kind:
        return ImageError(f"expected {allowed}, found {kind}", code="format_not_allowed", hint="convert it to JPEG")
    return ImageError(
        f"expected an image ({allowed}), found {len(data)} bytes of another kind",
        code="not_an_image",
        hint="check the file",
    )


def _damaged(kind: str, reason: str) -> ImageError:
    return ImageError(
        f"the {kind} image is damaged or cut off: {reason}", code="truncated", hint="fetch or export the file again"
    )


def _too_large(found: str, limits: ImageLimits) -> ImageError:
    return ImageError(
        f"expected at most {limits.max_bytes} bytes and {limits.max_pixels} pixels, found {found}",
        code="image_too_large",
        hint="make the image smaller, or serve with a higher --max-pixels or --max-image (ImageLimits in Python)",
    )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(_high_byte(np.asarray(image))).convert("RGB")
    if image.mode in ("F", "LAB"):
        raise ImageError(
            f"expected 8 or 16 bits a channel in a common colour space, found mode {image.mode}",
            code="format_not_allowed",
            hint="convert it to JPEG or PNG",
        )
    if image.mode in ("P", "PA", "LA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image if image.mode == "RGBA" and "transparency" not in image.info else image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _high_byte(grey: NDArray[np.integer]) -> NDArray[np.uint8]:
    """16 bits to 8; Pillow's own conversion clips everything above 255 to white."""
    if grey.dtype.itemsize > 2:
        grey = np.clip(grey, 0, 65535)
    return (grey >> 8).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """1 (upright) where the EXIF block cannot be read: a damaged block says nothing about the pixels."""
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DECODE_ERRORS:
        return 1
    return value if isinstance(value, int) else 1
