"""Image bytes to the array a detector takes, with every limit checked before pixels are decoded.

Knows nothing about models, files' names or HTTP. What is decided here: the first frame only; EXIF orientation applied;
transparency is laid on white (what a viewer shows, and nothing hidden under it leaks in); 16-bit grey keeps its high
byte; CMYK becomes RGB.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoring.errors import ImageError, NotFoundError
from scoring.manifest import Preprocess

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
_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class ImageLimits:
    """What is refused before decoding. `formats` are Pillow's names."""

    max_bytes: int = 32 * MIB
    max_pixels: int = 40_000_000
    formats: tuple[str, ...] = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")


@dataclass(frozen=True)
class Letterbox:
    """How an image lies in the detector's input: top left; `width` x `height` pixels are image, the rest is padding."""

    scale_x: float  # input pixels a source pixel
    scale_y: float
    width: int
    height: int


def open_image(source: Path | bytes, limits: ImageLimits | None = None) -> Image.Image:
    """Decode one image: RGB, upright, first frame.

    Raises: ImageError (not_an_image, format_not_allowed, image_too_large, truncated); NotFoundError.
    """
    limits = limits or ImageLimits()
    data = _read(source, limits)
    image = _open_header(data, limits)
    if image.width * image.height > limits.max_pixels:
        raise _too_large(f"{image.width} x {image.height} pixels", limits)
    try:
        image.load()
    except _DECODE_ERRORS as error:
        raise _damaged(image.format or "", str(error)) from error
    transpose = _ORIENTATIONS.get(_orientation(image))
    rgb = _to_rgb(image)
    return rgb if transpose is None else rgb.transpose(transpose)


def letterbox_uint8(image: Image.Image, size: tuple[int, int], pad: int = 114) -> tuple[NDArray[np.uint8], Letterbox]:
    """The image scaled to fit `size` (height, width) and put top left on grey: (height, width, 3) uint8.

    Sides are rounded half to even, at least 1 pixel; Pillow's bilinear filter widens when it shrinks (antialias).
    """
    height, width = size
    image = image if image.mode == "RGB" else image.convert("RGB")
    scale = min(width / image.width, height / image.height)
    inner = (min(width, max(1, round(image.width * scale))), min(height, max(1, round(image.height * scale))))
    canvas = np.full((height, width, 3), pad, np.uint8)
    canvas[: inner[1], : inner[0]] = np.asarray(image.resize(inner, Image.Resampling.BILINEAR))
    return canvas, Letterbox(inner[0] / image.width, inner[1] / image.height, inner[0], inner[1])


def preprocess(image: Image.Image, spec: Preprocess) -> tuple[NDArray[np.float32], Letterbox]:
    """An RGB image as (3, H, W) float32, exactly as the manifest describes it."""
    pixels, letterbox = letterbox_uint8(image, spec.size, spec.pad)
    array = pixels.transpose(2, 0, 1).astype(np.float32) * np.float32(spec.scale)
    if spec.mean != (0.0, 0.0, 0.0) or spec.std != (1.0, 1.0, 1.0):
        array = (array - np.asarray(spec.mean, np.float32)[:, None, None]) / np.asarray(spec.std, np.float32)[
            :, None, None
        ]
    return np.ascontiguousarray(array, dtype=np.float32), letterbox


def unletterbox(boxes_px: NDArray[np.float32], letterbox: Letterbox, width: int, height: int) -> NDArray[np.float32]:
    """Boxes (n, 4) ltrb in input pixels to fractions of the `width` x `height` source, clipped to [0, 1]."""
    sides = np.array([letterbox.scale_x * width, letterbox.scale_y * height] * 2, np.float64)
    return np.clip(boxes_px.reshape(-1, 4) / sides, 0.0, 1.0).astype(np.float32)


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


def _open_header(data: bytes, limits: ImageLimits) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=limits.formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(str(error), limits) from error
    except _DECODE_ERRORS as error:
        raise _unidentified(data, limits) from error


def _unidentified(data: bytes, limits: ImageLimits) -> ImageError:
    kind = next((name for at, magic, name in _SIGNATURES if data.startswith(magic, at)), "")
    allowed = ", ".join(limits.formats)
    if kind in limits.formats:
        return _damaged(kind, "its header cannot be read")
    if kind:
        return ImageError(f"expected {allowed}, found {kind}", code="format_not_allowed", hint="convert it to JPEG")
    found = f"{len(data)} bytes that begin {data[:8].hex(' ')}" if data else "0 bytes"
    return ImageError(f"expected an image ({allowed}), found {found}", code="not_an_image", hint="check the file")


def _damaged(kind: str, reason: str) -> ImageError:
    return ImageError(
        f"the {kind} image is damaged or cut off: {reason}", code="truncated", hint="fetch or export the file again"
    )


def _too_large(found: str, limits: ImageLimits) -> ImageError:
    return ImageError(
        f"expected at most {limits.max_bytes} bytes and {limits.max_pixels} pixels, found {found}",
        code="image_too_large",
        hint="make the image smaller, or raise ImageLimits.max_pixels or max_bytes",
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
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _high_byte(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    """16 bits to 8; Pillow's own conversion clips everything above 255 to white."""
    return (np.clip(grey.astype(np.int64), 0, 65535) >> 8).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """1 (upright) where the EXIF block cannot be read: a damaged block says nothing about the pixels."""
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DECODE_ERRORS:
        return 1
    return value if isinstance(value, int) else 1
