"""Of how many pieces an image's file is made, read without decoding anything: a piece costs its time, however small.

A progressive JPEG is decoded once over for each of its scans, and one of 60 bytes can cover 40 megapixels: 32 KiB take
seconds, 32 MiB an hour, in a thread that nothing can interrupt. Segments, chunks and strips cost less, and are read by
Pillow one after the other. What is refused here no camera and no program writes. Knows nothing about pixels.
"""

from __future__ import annotations

import struct

from scoring.errors import ImageError

SCANS = 100  # of a JPEG; libjpeg's own progressive files have 10, and libtiff allows as many
PIECES = 65_536  # segments before a JPEG's pixels, chunks of a PNG, strips or tiles of a TIFF

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_BARE = (*range(0xD0, 0xDA), 0x01)  # markers without a length: restarts, start, end, TEM
_ONE_PASS = (0xC0, 0xC1, 0xC9)  # frames that are not progressive: one scan of all components is the whole image
_OFFSETS = (273, 279, 324, 325)  # TIFF's tags with a value for each strip or tile


def expect_few_pieces(data: bytes) -> None:
    """Raises: ImageError (image_too_large)."""
    if data.startswith(b"\xff\xd8\xff"):
        segments, one_scan = _head(data)
        _expect_few(segments, "JPEG", "segments")
        if not one_scan and data.count(b"\xff\xda") > SCANS and _scans(data) > SCANS:  # it may stand elsewhere, too
            raise _refused("JPEG", "scans", SCANS)
    elif data.startswith(b"\x89PNG"):
        _expect_few(_chunks(data), "PNG", "chunks")
    elif data[:4] in (b"II*\0", b"II\0*", b"MM*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        kinds = (True, False) if 0x2B in data[2:4] else (False,)  # Pillow reads some of BigTIFF's headers as TIFF's
        _expect_few(max(_strips(data, big) for big in kinds), "TIFF", "tags and strips")


def _expect_few(found: int, kind: str, what: str) -> None:
    if found > PIECES:
        raise _refused(kind, what, PIECES)


def _refused(kind: str, what: str, most: int) -> ImageError:
    message = f"expected a {kind} image of at most {most} {what}, found more"
    return ImageError(message, code="image_too_large", hint="open the image in any program and save it again")


def _scans(data: bytes) -> int:
    """As libjpeg meets them, up to the end of the image: what follows it, a film perhaps, is not read."""
    at, found = 2, 0
    while found <= SCANS and (at := data.find(b"\xff", at)) >= 0:
        code = data[at + 1] if at + 1 < len(data) else _END
        if code == _END:
            break
        if code in (0x00, 0xFF) or code in _BARE or code < 0xC0:  # stuffed, padding, no length, or noise
            at += 1 if code == 0xFF else 2
            continue
        found += code == _SCAN
        at += 2 + _length(data, at + 2)
    return found


def _head(data: bytes) -> tuple[int, bool]:
    """Its segments, as Pillow reads them until the first scan; and whether that is the only one that libjpeg reads."""
    at, found, components = 2, 0, 0
    while found <= PIECES and (at := data.find(b"\xff", at)) >= 0 and at + 10 <= len(data):
        code = data[at + 1]
        if code == _SCAN:
            return found, data[at + 4] == components
        if code in (0x00, 0xFF):
            at += 1 if code == 0xFF else 2
            continue
        found += 1
        if code in _ONE_PASS:
            components = data[at + 9]
        at += 2 if code in _BARE else 2 + _length(data, at + 2)
    return found, False


def _length(data: bytes, at: int) -> int:
    """What a segment says of itself, its own two bytes among them."""
    return max(2, int.from_bytes(data[at : at + 2], "big"))


def _chunks(data: bytes) -> int:
    at, found = 8, 0
    while found <= PIECES and at + 8 <= len(data):
        found += 1
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return found


def _strips(data: bytes, big: bool) -> int:
    """The first frame's tags, and the most values that one of those for strips and tiles has."""
    order = ">" if data.startswith(b"MM") else "<"
    entry = struct.Struct(f"{order}HHQ8x" if big else f"{order}HHI4x")
    number, size = ("Q", 8) if big else ("H", 2)
    try:
        (at,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", data, 8 if big else 4)
        (tags,) = struct.unpack_from(order + number, data, at)
        if tags > PIECES:
            return int(tags)
        counts = (entry.unpack_from(data, at + size + index * entry.size) for index in range(tags))
        return int(tags) + max((count for tag, _, count in counts if tag in _OFFSETS), default=0)
    except (struct.error, OverflowError):  # cut off: the decoder says so
        return 0
