"""Files of very many pieces: refused before a decoder sees them, while what cameras and programs write is not."""

from __future__ import annotations

import struct
import zlib

import pytest
from PIL import Image

from scoring.errors import ImageError
from scoring.images import open_image
from scoring.pieces import PIECES, SCANS
from tests.scoring.pictures import chunk, code_of, encoded, picture

SIDE = 6320  # pixels; 40 megapixels, as many as may be


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


FIRST = segment(0xDA, b"\1\1\0\0\0\0")  # a scan of the only component's averages; no bits are zeros
NEXT = segment(0xDA, b"\1\1\0\1\x3f\0")  # and one of all that comes on top


def progressive(scans: bytes, side: int = 64) -> bytes:
    """A grey JPEG in scans; without any bits, as libjpeg fills in what is missing."""
    tables = b"".join(segment(0xC4, bytes((kind, 1)) + bytes(16)) for kind in (0x00, 0x10))
    frame = segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    return b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64) + frame + tables + FIRST + scans + b"\xff\xd9"


@pytest.mark.parametrize("between", [b"", b"\xff", b"\xff\xff\xff", b"abc\xff\x00", b"\xff\xd3", b"\x00\xff\x00"])
def test_more_scans_than_anybody_writes_are_refused(between: bytes) -> None:
    """One scan of 10 bytes takes 10 ms at this size; padding, noise and restarts hide none."""
    bomb = progressive((between + NEXT) * SCANS, SIDE)
    with pytest.raises(ImageError, match="at most 100 scans") as caught:
        open_image(bomb)
    assert caught.value.code == "image_too_large"
    assert "save it again" in caught.value.hint
    assert len(bomb) < 3000


def test_as_many_scans_as_are_allowed_are_decoded() -> None:
    assert open_image(progressive(NEXT * (SCANS - 1))).size == (64, 64)


def test_scans_of_a_jpeg_that_is_not_progressive_count_too() -> None:
    """Each of one component, over and over: libjpeg reads them all."""
    plain = encoded(picture(), "JPEG")
    at = plain.index(b"\xff\xda")
    scan = segment(0xDA, b"\1\1\0\0\x3f\0")
    assert code_of(plain[:at] + scan * (SCANS + 1) + b"\xff\xd9") == "image_too_large"


def test_an_ordinary_progressive_jpeg_is_not_refused() -> None:
    data = encoded(Image.effect_noise((200, 120), 90).convert("RGB"), "JPEG", progressive=True)
    assert data.count(b"\xff\xda") == 10
    assert open_image(data).size == (200, 120)


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["one scan", "progressive"])
def test_what_looks_like_a_scan_in_a_block_or_behind_the_picture_is_none(options: dict[str, bool]) -> None:
    """A thumbnail, a maker's note, a film: 250 of them."""
    data = encoded(picture(), "JPEG", **options)
    note = segment(0xE5, NEXT * 250)
    found = open_image(data[:2] + note + data[2:] + NEXT * 250)
    assert found.tobytes() == open_image(data).tobytes()


def tiff(strips: int, *, order: str = "<", big: bool = False) -> bytes:
    """Grey, a pixel wide, one row a strip; all strips are the same bytes."""
    word, size = ("Q", 8) if big else ("I", 4)
    at = 2 * size + (8 if big else 2) + 9 * (4 + 2 * size) + size  # behind the header and the tags
    tags = {256: 1, 257: strips, 258: 8, 259: 1, 262: 1, 273: at, 277: 1, 278: 1, 279: at + 4 * strips}
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if big else struct.pack(f"{order}HI", 42, 8)
    data = (b"II" if order == "<" else b"MM") + head + struct.pack(order + ("Q" if big else "H"), len(tags))
    for tag, value in tags.items():
        many = tag in (273, 279)
        data += struct.pack(f"{order}HH{word}", tag, 4, strips if many else 1)
        data += struct.pack(order + (word if many else "I"), value).ljust(size, b"\0")
    return data + bytes(size) + struct.pack(f"{order}I", 8) * strips + struct.pack(f"{order}I", 1) * strips


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_strips_of_a_tiff_without_end_are_refused(order: str, big: bool) -> None:
    assert open_image(tiff(300, order=order, big=big)).size == (1, 300)
    assert code_of(tiff(PIECES, order=order, big=big)) == "image_too_large"


def png(kind: bytes, number: int, *, behind: bool = False) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    more, pixels = chunk(kind, b"") * number, chunk(b"IDAT", zlib.compress(bytes(72)))
    return b"\x89PNG\r\n\x1a\n" + header + (pixels + more if behind else more + pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("kind", [b"prIv", b"IDAT"])
def test_chunks_of_a_png_without_end_are_refused(kind: bytes, behind: bool) -> None:
    assert open_image(png(kind, 5000, behind=behind)).size == (8, 8)
    assert code_of(png(kind, PIECES, behind=behind)) == "image_too_large"


def test_segments_of_a_jpeg_without_end_are_refused() -> None:
    """28 MiB of them took half a minute and more than a gigabyte."""
    data = encoded(picture(), "JPEG")
    assert open_image(data[:2] + segment(0xE5, b"") * 2000 + data[2:]).size == (40, 24)
    assert code_of(data[:2] + segment(0xE5, b"") * PIECES + data[2:]) == "image_too_large"
