"""What is refused before it costs anything: too many bytes, too many pixels, and files that unpack without end."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scoring.errors import ImageError
from scoring.images import ImageLimits, open_image
from tests.scoring.pictures import chunk, code_of, encoded, picture


def png_of_declared_size(width: int, height: int) -> bytes:
    """A valid grey PNG of one bit a pixel, compressed to almost nothing."""

    pack = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def peak_mib(work: Callable[[], object]) -> float:
    """MiB of Python's own memory at its highest while `work` runs."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def grown_mib(data: bytes, tmp_path: Path) -> float:
    """MiB by which a process that opens `data` and is refused grows at most: the decoders' memory is not Python's."""
    (tmp_path / "bomb").write_bytes(data)
    script = (
        "import re, sys; from pathlib import Path\n"
        "from scoring.errors import ImageError; from scoring.images import open_image\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1]) / 1024\n"
        "before = peak()  # of this program: getrusage's begins with that of the process which started it\n"
        "try: open_image(Path(sys.argv[1]))\n"
        "except ImageError as error: print(error.code, peak() - before)"
    )
    code, grown = output_of(script, tmp_path / "bomb").split()
    assert code == "image_too_large"
    return float(grown)


def output_of(script: str, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_small_file_of_400_megapixels_is_refused_from_its_header(tmp_path: Path) -> None:
    bomb = png_of_declared_size(20_000, 20_000)
    assert len(bomb) < 50 * 1024
    assert code_of(bomb) == "image_too_large"
    assert grown_mib(bomb, tmp_path) < 16  # decoded it would be 50 MiB at one bit a pixel, 1.2 GB as RGB


def test_more_memory_than_there_is_is_said_of_the_image(tmp_path: Path) -> None:
    """40 megapixels are allowed, and need 160 MB on the way; this process may have 64 more."""
    (tmp_path / "large").write_bytes(png_of_declared_size(6_300, 6_300))
    script = (
        "import re, resource, sys; from pathlib import Path\n"
        "from PIL import Image; Image.init()\n"
        "from scoring.errors import ImageError; from scoring.images import open_image\n"
        "used = 1024 * int(re.search(r'VmSize:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))\n"
        "try: open_image(Path(sys.argv[1]))\n"
        "except ImageError as error: print(error.code, '|', error.message)"
    )
    said = output_of(script, tmp_path / "large")
    assert said == "image_too_large | expected enough memory to decode the image, found too little\n"


def bmp_header(width: int, height: int) -> bytes:
    fields = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + fields + bytes(64)


def jpeg_of_declared_size(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def animated_webp_of_declared_size(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(), "WEBP", save_all=True, append_images=[Image.new("RGB", (40, 24))]))
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "sides"),
    [
        (bmp_header, (9_000, 9_000)),
        (jpeg_of_declared_size, (9_000, 9_000)),
        (jpeg_of_declared_size, (65_500, 65_500)),
        (animated_webp_of_declared_size, (9_000, 9_000)),
        (animated_webp_of_declared_size, (16_383, 16_383)),
    ],
)
def test_every_format_is_refused_from_its_header(
    make: Callable[[int, int], bytes], sides: tuple[int, int], tmp_path: Path
) -> None:
    assert grown_mib(make(*sides), tmp_path) < 16


def test_the_pixel_limit_names_what_a_person_can_set() -> None:
    with pytest.raises(ImageError) as caught:
        open_image(png_of_declared_size(10_000, 9_000))
    assert "at most 33554432 bytes and 40000000 pixels, found " in caught.value.message
    assert "--max-pixels" in caught.value.hint and "--max-image" in caught.value.hint


def png_with(*chunks: bytes) -> bytes:
    plain = encoded(picture())
    return plain[:33] + b"".join(chunks) + plain[33:]  # behind the header


BOMB = zlib.compress(bytes(200 << 20), 9)


@pytest.mark.parametrize(
    "extra",
    [chunk(b"zTXt", b"a\0\0" + BOMB), chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB), chunk(b"iCCP", b"a\0\0" + BOMB)],
    ids=["zTXt", "iTXt", "iCCP"],
)
def test_compressed_text_in_a_png_is_not_unpacked_without_end(extra: bytes) -> None:
    data = png_with(extra)
    assert len(data) < 256 * 1024
    assert peak_mib(lambda: code_of(data)) < 8


def test_many_compressed_texts_in_a_png_are_bounded_together() -> None:
    texts = [chunk(b"iTXt", b"%d\0\1\0\0\0" % n + zlib.compress(bytes(1 << 20), 9)) for n in range(100)]
    assert peak_mib(lambda: code_of(png_with(*texts))) < 80  # Pillow's own 64 MiB, and no more


def test_more_pixels_than_a_png_declares_are_not_unpacked() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", BOMB) + chunk(b"IEND", b"")
    assert peak_mib(lambda: open_image(data)) < 8


def test_of_a_tiff_of_many_frames_only_the_first_is_read() -> None:
    frames = [Image.new("RGB", (4, 4), (number % 256, 7, 7)) for number in range(600)]
    data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert peak_mib(lambda: open_image(data)) < 4
    assert np.asarray(open_image(data))[0, 0].tolist() == [0, 7, 7]


GREY_4X4 = {256: (3, 1, 4), 257: (3, 1, 4), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 400)}


def tiff(**changes: tuple[int, int, int]) -> bytes:
    """A grey image of 4 x 4 pixels; `t270=(type, count, value)` adds or changes a tag."""
    tags = {**GREY_4X4, 277: (3, 1, 1), 278: (3, 1, 4), 279: (4, 1, 16)}
    tags |= {int(name[1:]): value for name, value in changes.items()}
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 8)  # the next frame is this one
    return head.ljust(500, b"\x05")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own notes about damaged tags
@pytest.mark.parametrize(
    "changes",
    [
        {"t270": (2, 0xFFFF_FFFF, 8)},  # a description of 4 GiB
        {"t273": (4, 0x3FFF_FFFF, 8)},  # a thousand million strips
        {"t277": (3, 1, 60_000)},  # channels
        {"t279": (4, 1, 0xFFFF_FFFF)},  # bytes of the one strip
        {"t278": (4, 1, 0xFFFF_FFFF)},  # rows of the one strip
        {"t256": (4, 1, 0xFFFF_FFFF)},  # width
    ],
    ids=["text", "strips", "channels", "bytes", "rows", "width"],
)
def test_a_tiff_whose_tags_claim_too_much_costs_nothing(changes: dict[str, tuple[int, int, int]]) -> None:
    assert open_image(tiff()).size == (4, 4)

    def work() -> None:
        with contextlib.suppress(ImageError):
            open_image(tiff(**changes))

    assert peak_mib(work) < 4


def test_an_exif_block_that_points_at_itself_ends() -> None:
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHII", 0x8769, 4, 1, 8)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 8)
    assert open_image(encoded(picture(), "JPEG", exif=exif)).size == (24, 40)


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
