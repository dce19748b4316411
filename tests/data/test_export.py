"""Export: a folder under its name and time, whole or not at all; no image ever lands on another."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from model_training.data import export as exporting
from model_training.data.export import export
from model_training.data.formats import FORMATS, read_format
from model_training.data.problems import rows_or_raise
from model_training.data.rows import Box, Row
from scoring.errors import ConflictError, DataError, UsageError

NOW = datetime(2026, 5, 1, 10, 0, 0)
BOX = Box("can", 0.25, 0.25, 0.75, 0.75)


def row(folder: Path, file_name: str, colour: int, suffix: str = ".png") -> Row:
    """A row whose image is of one grey, so that images can be told apart."""
    folder.mkdir(exist_ok=True)
    image = folder / f"{colour}{suffix}"
    Image.new("L", (40, 20), colour).save(image)
    return Row(str(image), (BOX,), width=40, height=20, file_name=file_name)


def colours(folder: Path, format: str) -> dict[str, int]:
    """File name -> grey of its image, of a set that is read again."""
    rows = rows_or_raise(read_format(format, folder).rows, str(folder))
    found = {}
    for item in rows:
        with Image.open(item.image_url) as image:
            found[item.file_name] = image.convert("L").getpixel((0, 0))
    return found


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "folder"])
def test_equal_names_never_land_on_each_other(format: str, tmp_path: Path) -> None:
    names = ["a/1.png", "b/1.png", "a/1.png", "A/1.PNG", "1.png", "/1.png", "../1.png"]
    rows = [row(tmp_path / "in", name, colour) for colour, name in enumerate(names, 50)]
    done = export(rows, format, tmp_path / "out", name="set", now=NOW)
    assert sorted(colours(done.folder, format).values()) == list(range(50, 57))
    assert done.images == 7
    assert done.notes[0] == "4 images have another name than before"


def test_annotations_of_equal_stems_never_land_on_each_other(tmp_path: Path) -> None:
    rows = [row(tmp_path / "in", "1.png", 50), row(tmp_path / "in", "1.bmp", 60, ".bmp")]
    for format in ("voc", "yolo"):
        done = export(rows, format, tmp_path / "out", name=format, now=NOW)
        assert colours(done.folder, format) == {"1.png": 50, "1-2.bmp": 60}


@pytest.mark.parametrize(
    ("name", "fitted"),
    [
        ("../../etc/passwd.png", "etc/passwd.png"),
        ("/etc/1.png", "etc/1.png"),
        ("..", "image.png"),
        (".hidden/.1.png", "_hidden/_1.png"),
        ('a:"b"\n.png', "a__b__.png"),
        ("photo", "photo.png"),
        ("photo.tif", "photo.tif.png"),
    ],
)
def test_names_that_lead_elsewhere_or_fit_nowhere_are_fitted(name: str, fitted: str, tmp_path: Path) -> None:
    done = export([row(tmp_path / "in", name, 50)], "coco", tmp_path / "out", name="set", now=NOW)
    assert colours(done.folder, "coco") == {fitted: 50}


def test_images_of_no_part_are_in_train_and_that_is_said(tmp_path: Path) -> None:
    rows = [row(tmp_path / "in", f"{at}.png", at) for at in (1, 2, 3)]
    done = export(rows, "yolo", tmp_path / "out", {"1.png": "test", "2.png": "validation"}, name="set", now=NOW)
    source = read_format("yolo", done.folder)
    assert len(list(source.rows)) == 3
    assert source.parts == {"1.png": "test", "2.png": "validation", "3.png": "train"}
    assert done.notes == ("1 images of no part are in train",)


def test_images_are_linked_where_that_is_possible_and_copied_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = row(tmp_path / "in", "1.png", 50)
    linked = export([source], "coco", tmp_path / "out", name="linked", now=NOW).folder / "images" / "1.png"
    assert linked.samefile(source.image_url)

    def other_device(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(exporting.os, "link", other_device)
    copied = export([source], "coco", tmp_path / "out", name="copied", now=NOW).folder / "images" / "1.png"
    assert copied.read_bytes() == linked.read_bytes() and not copied.samefile(linked)


@pytest.mark.parametrize(
    ("change", "format"),
    [
        ({"image_url": "/nowhere/1.png"}, "coco"),
        ({"classes": ("a",), "boxes": (), "kind": "class"}, "voc"),
        ({"width": None, "height": None, "image_url": "broken"}, "voc"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing_behind(change: dict[str, object], format: str, tmp_path: Path) -> None:
    from dataclasses import replace

    good = row(tmp_path / "in", "1.png", 50)
    if change.get("image_url") == "broken":
        (tmp_path / "broken.png").write_bytes(b"no image")
        change = change | {"image_url": str(tmp_path / "broken.png")}
    with pytest.raises(DataError):
        export([good, replace(good, file_name="2.png", **change)], format, tmp_path / "out", name="set", now=NOW)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_a_set_that_is_there_or_empty_or_of_no_format_is_refused(tmp_path: Path) -> None:
    source = row(tmp_path / "in", "1.png", 50)
    export([source], "coco", tmp_path / "out", name="set", now=NOW)
    with pytest.raises(ConflictError, match="set_20260501_100000 exists already"):
        export([source], "coco", tmp_path / "out", name="set", now=NOW)
    with pytest.raises(DataError, match="found none"):
        export([], "coco", tmp_path / "out", name="empty", now=NOW)
    with pytest.raises(UsageError, match="expected a format"):
        export([source], "cocoa", tmp_path / "out", name="empty", now=NOW)


def test_a_folder_per_class_holds_classes_and_images_lie_in_them(tmp_path: Path) -> None:
    source = row(tmp_path / "in", "1.png", 50)
    classed = Row(source.image_url, classes=("a, b",), kind="class", file_name="1.png")
    done = export([classed], "folder", tmp_path / "out", {"1.png": "validation"}, name="set", now=NOW)
    assert (done.folder / "val" / "a, b" / "1.png").is_file()
    with pytest.raises(DataError, match="a folder per class holds class, found boxes"):
        export([source], "folder", tmp_path / "out", name="boxes", now=NOW)
