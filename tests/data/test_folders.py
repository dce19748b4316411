"""A folder per class: labels are folders' names; other files are noted; images above are a problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from model_training.data.drafting import Found
from model_training.data.folders import place, read_folders
from model_training.data.problems import separate
from model_training.data.rows import Row
from scoring.errors import DataError


def images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def test_labels_equal_the_folders_and_other_files_are_noted(tmp_path: Path) -> None:
    images(tmp_path, "white cap, new/1.jpg", "white cap, new/deep/1.jpg", "b/1.PNG")
    (tmp_path / "b" / "readme.txt").write_text("x")
    (tmp_path / "b" / ".DS_Store").write_text("x")
    found = Found()
    rows, problems = separate(read_folders(tmp_path, found))
    assert not problems
    assert {row.file_name: row.classes for row in rows} == {
        "b/1.PNG": ("b",),
        "white cap, new/1.jpg": ("white cap, new",),
        "white cap, new/deep/1.jpg": ("white cap, new",),
    }
    assert {row.kind for row in rows} == {"class"}
    assert found.notes == ["1 files are no images and are passed over, such as 'b/readme.txt'"]
    assert not found.parts


def test_parts_above_the_classes(tmp_path: Path) -> None:
    images(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "val/a/1.jpg")
    found = Found()
    rows, problems = separate(read_folders(tmp_path, found))
    assert not problems
    assert [(row.file_name, row.classes[0]) for row in rows] == [
        ("a/1.jpg", "a"),
        ("b/2.jpg", "b"),
        ("val/a/1.jpg", "a"),
    ]
    assert found.parts == {"a/1.jpg": "train", "b/2.jpg": "train", "val/a/1.jpg": "validation"}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    images(tmp_path, "train/1.jpg", "test/2.jpg")
    rows, _ = separate(read_folders(tmp_path))
    assert sorted(row.classes[0] for row in rows) == ["test", "train"]


def test_an_image_above_the_classes_is_a_problem(tmp_path: Path) -> None:
    images(tmp_path, "1.jpg", "a/1.jpg")
    rows, problems = separate(read_folders(tmp_path))
    assert len(rows) == 1
    assert "in the folder of its class" in problems[0].reason


def test_what_is_no_such_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder of images"):
        list(read_folders(tmp_path))
    images(tmp_path, "1.jpg")
    with pytest.raises(DataError, match="found a file"):
        list(read_folders(tmp_path / "1.jpg"))


@pytest.mark.parametrize("label", ["a/b", "..", ".hidden", "a\\b"])
def test_labels_that_are_no_folders_names_are_refused(label: str) -> None:
    with pytest.raises(DataError, match="can be a folder's name"):
        place(Row("", classes=(label,), kind="class", file_name="1.jpg"), "")
