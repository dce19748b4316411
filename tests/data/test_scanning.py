"""The pass over images: what it finds, and that a killed pass goes on where it stopped."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from model_training.data import scanning
from model_training.data.scanning import Picture, scan
from scoring.errors import ImageError
from scoring.images import ImageLimits


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.{ending}" for i, ending in enumerate(("jpg", "png", "bmp", "tif", "webp"))]
    for i, path in enumerate(paths):
        Image.new("RGB", (30 + i, 20), (40 * i, 90, 200)).save(path)
    return paths


def test_hash_size_and_format_of_every_kind(images: list[Path]) -> None:
    found = scan(images)
    for i, (path, kind) in enumerate(zip(images, ("jpg", "png", "bmp", "tif", "webp"), strict=True)):
        picture = found[path]
        assert isinstance(picture, Picture)
        assert (picture.width, picture.height, picture.format) == (30 + i, 20, kind)
        assert picture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_size_is_that_of_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    picture = scan([tmp_path / "turned.jpg"])[tmp_path / "turned.jpg"]
    assert isinstance(picture, Picture)
    assert (picture.width, picture.height) == (20, 40)


def test_every_image_that_cannot_be_used_is_told_with_the_reason(tmp_path: Path, images: list[Path]) -> None:
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((200, 200), 50).convert("RGB").save(whole)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "words.jpg").write_text("not an image")
    (tmp_path / "folder.jpg").mkdir()
    Image.new("1", (300, 300)).save(tmp_path / "large.png")
    names = ("cut.jpg", "words.jpg", "folder.jpg", "missing.jpg", "large.png")
    found = scan([tmp_path / name for name in names], limits=ImageLimits(max_pixels=80_000))
    reasons = [str(found[tmp_path / name]) for name in names]
    words = ("cut off", "expected an image", "directory", "No such file", "80000 pixels")
    for reason, word in zip(reasons, words, strict=True):
        assert word in reason


def test_a_second_pass_looks_at_nothing_but_what_changed(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal"
    first = scan(images, journal=journal)
    looked: list[bytes] = []
    look_at = scanning.look_at
    monkeypatch.setattr(scanning, "look_at", lambda data, limits: looked.append(data) or look_at(data, limits))
    assert scan(images, journal=journal) == first
    assert looked == []
    Image.new("RGB", (64, 64), "red").save(images[0])
    again = scan(images, journal=journal)
    assert looked == [images[0].read_bytes()]
    assert again[images[0]] != first[images[0]]


def test_a_journal_that_was_cut_anywhere_is_gone_on_with(images: list[Path], tmp_path: Path) -> None:
    """Killed at any byte of the journal: the next pass ends with the same findings."""
    journal = tmp_path / "journal"
    whole = scan(images, journal=journal)
    text = journal.read_bytes()
    for cut in range(0, len(text), 37):
        journal.write_bytes(text[:cut])
        assert scan(images, journal=journal) == whole
        assert scan(images, journal=journal) == whole


def test_a_failing_journal_stops_the_pass(images: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(scanning, "_read_journal", lambda journal: {})
    with pytest.raises(OSError, match="No space left"):
        scan(images * 1, journal=full)


def test_progress_ends_with_all(images: list[Path]) -> None:
    told: list[tuple[int, int]] = []
    scan(images, progress=lambda done, total, left: told.append((done, total)))
    assert told[-1] == (5, 5)


def test_no_more_threads_than_cores() -> None:
    assert 1 <= scanning.cores() <= (os.cpu_count() or 1)


def test_bytes_over_the_limit_are_refused_before_decoding(images: list[Path]) -> None:
    with pytest.raises(ImageError):
        scanning.look_at(images[0].read_bytes(), ImageLimits(max_bytes=10))
    assert "at most 10 bytes" in str(scan([images[0]], limits=ImageLimits(max_bytes=10))[images[0]])
