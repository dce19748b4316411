"""How much memory an image takes, and what is said of one that has too many pixels for Pillow itself."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import pytest

from scoring.errors import ImageError
from scoring.images import ImageLimits, open_image

ROOT = Path(__file__).parents[2]
GROWN = """
import re, sys; from pathlib import Path; from scoring.images import open_image
def peak():  # of this program: getrusage's begins with that of the process which started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
open_image(Path(sys.argv[2])); before = peak()
open_image(Path(sys.argv[1])); print(peak() - before)
"""


def png(width: int, height: int, depth: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("side", "found"), [(30_000, "900000000 pixels"), (9_000, "9000 x 9000 pixels")])
def test_the_limit_and_the_size_are_ours(side: int, found: str) -> None:
    with warnings.catch_warnings(), pytest.raises(ImageError) as caught:
        warnings.simplefilter("ignore")
        open_image(png(side, side), ImageLimits(max_pixels=40_000_000))
    assert caught.value.code == "image_too_large"
    assert caught.value.message == f"expected at most {32 << 20} bytes and 40000000 pixels, found {found}"


@pytest.mark.parametrize(("depth", "colour", "size"), [(8, 2, 3), (16, 0, 2), (8, 6, 4), (16, 2, 6), (16, 4, 4)])
def test_an_image_takes_at_most_13_bytes_a_pixel(depth: int, colour: int, size: int, tmp_path: Path) -> None:
    """Decoded and made RGB, whatever its kind: the server reckons with it (scoring/server/service.py)."""
    for name, side in (("large", 3000), ("small", 3)):
        rows = bytes((1 + side * size) * side)
        (tmp_path / name).write_bytes(png(side, side, depth, colour, rows))
    command = [sys.executable, "-c", GROWN, str(tmp_path / "large"), str(tmp_path / "small")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 3000**2 < int(done.stdout) < 13 * 3000**2
