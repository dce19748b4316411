"""What is said of an image that has too many pixels for Pillow itself."""

from __future__ import annotations

import struct
import warnings
import zlib

import pytest

from scoring.errors import ImageError
from scoring.images import ImageLimits, open_image


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("side", "found"), [(30_000, "900000000 pixels"), (9_000, "9000 x 9000 pixels")])
def test_the_limit_and_the_size_are_ours(side: int, found: str) -> None:
    with warnings.catch_warnings(), pytest.raises(ImageError) as caught:
        warnings.simplefilter("ignore")
        open_image(png(side, side), ImageLimits(max_pixels=40_000_000))
    assert caught.value.code == "image_too_large"
    assert caught.value.message == f"expected at most {32 << 20} bytes and 40000000 pixels, found {found}"
