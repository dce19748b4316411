"""Images are found by whole paths, and measured by their headers as they stand upright."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from model_training.data.image_folder import ImageFolder, header_size, short_name


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    for name in ("a/1.jpg", "b/1.jpg", "b/deep/2.PNG", "images/3.jpg", "notes.txt", ".hidden/4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return ImageFolder(tmp_path)


def test_names_are_those_of_images_that_are_not_hidden(folder: ImageFolder) -> None:
    assert folder.names == ("a/1.jpg", "b/1.jpg", "b/deep/2.PNG", "images/3.jpg")


@pytest.mark.parametrize(
    ("name", "near", "expected"),
    [
        ("a/1.jpg", ("",), "a/1.jpg"),
        ("a\\1.jpg", ("",), "a/1.jpg"),  # written on Windows
        ("deep/2.PNG", ("",), "b/deep/2.PNG"),  # the only path that ends so
        ("3.jpg", ("images", ""), "images/3.jpg"),
        ("1.jpg", ("",), None),  # two of them: never one of both
        ("1.jpg", ("b",), "b/1.jpg"),
        ("c/1.jpg", ("",), None),
        ("../1.jpg", ("a",), None),
        ("/etc/1.jpg", ("",), None),
        ("a\0.jpg", ("",), None),
        ("", ("",), None),
    ],
)
def test_a_path_is_matched_whole(name: str, near: tuple[str, ...], expected: str | None, folder: ImageFolder) -> None:
    assert folder.find(name, near) == expected


def test_names_without_ending(folder: ImageFolder) -> None:
    assert folder.find_stem("3", ("images",)) == "images/3.jpg"
    assert folder.find_stem("b/deep/2") == "b/deep/2.PNG"
    assert folder.find_stem("9") is None


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 20)), (3, (40, 20)), (6, (20, 40)), (8, (20, 40))])
def test_sizes_are_those_of_the_image_upright(orientation: int, size: tuple[int, int], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 20)).save(tmp_path / "1.jpg", exif=exif)
    assert header_size(tmp_path / "1.jpg") == size


def test_what_is_no_image_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(os.urandom(64))
    assert header_size(tmp_path / "1.jpg") is None
    assert header_size(tmp_path / "2.jpg") is None
    assert header_size(tmp_path) is None


def test_a_header_of_a_gigapixel_image_costs_nothing_and_warns_nobody(tmp_path: Path) -> None:
    Image.new("1", (12_000, 8_000)).save(tmp_path / "1.png")  # above the size from which Pillow warns
    assert header_size(tmp_path / "1.png") == (12_000, 8_000)


def test_short_names() -> None:
    assert short_name("images/a/1.jpg") == short_name("JPEGImages/a/1.jpg") == short_name("a/1.jpg") == "a/1.jpg"
    assert short_name("images") == "images"
