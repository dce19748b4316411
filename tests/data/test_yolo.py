"""YOLO: both ways to name classes, the layouts in use, masks, and faults with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from PIL import Image

from model_training.data.drafting import Found
from model_training.data.problems import Problem, separate
from model_training.data.rows import Box, Row
from model_training.data.yolo import read_yolo, write_yolo
from scoring.errors import DataError, NotFoundError

LINE = "1 0.5 0.5 0.2 0.4\n"


def image(folder: Path, name: str, label: str | None = None, labels: str = "") -> None:
    """An image, and its label file at `labels` (beside it by default)."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)
    if label is not None:
        file = folder / (labels or str(Path(name).with_suffix(".txt")))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(label, encoding="utf-8")


def table(folder: Path, **value: object) -> None:
    (folder / "data.yaml").write_text(yaml.safe_dump({"names": ["a, b", "white cap"]} | value), encoding="utf-8")


def only(path: Path) -> Row | Problem:
    (item,) = read_yolo(path)
    return item


@pytest.mark.parametrize(
    ("images", "labels", "entry"),
    [
        ("images/train/x y.jpg", "labels/train/x y.txt", "images/train"),
        ("train/images/x y.jpg", "train/labels/x y.txt", "train/images"),
        ("train/images/x y.jpg", "train/labels/x y.txt", "../train/images"),  # as seen from a folder beside
        ("x y.jpg", "x y.txt", "."),
    ],
)
def test_the_layouts_that_are_in_use(images: str, labels: str, entry: str, tmp_path: Path) -> None:
    image(tmp_path, images, LINE, labels)
    table(tmp_path, train=entry)
    found = Found()
    (row,) = read_yolo(tmp_path, found)
    assert isinstance(row, Row)
    assert row.file_name == "x y.jpg" and row.labels == ("white cap",)
    box = row.boxes[0]
    assert (box.top_x, box.top_y, box.bottom_x, box.bottom_y) == pytest.approx((0.4, 0.3, 0.6, 0.7))
    assert found.parts == {"x y.jpg": "train"}


def test_parts_of_the_table_and_lists_of_files(tmp_path: Path) -> None:
    for name in ("images/a/1.jpg", "images/b/1.jpg", "images/c/2.jpg"):
        image(tmp_path, name, LINE, name.replace("images", "labels").replace("jpg", "txt"))
    (tmp_path / "test.txt").write_text("./images/c/2.jpg\n", encoding="utf-8")
    table(tmp_path, train="images/a", val=["images/b"], test="test.txt", path=".")
    found = Found()
    rows, problems = separate(read_yolo(tmp_path, found))
    assert not problems
    assert {row.file_name: Path(row.image_url).parent.name for row in rows} == {
        "1.jpg": "a",
        "images/b/1.jpg": "b",  # the name is taken
        "c/2.jpg": "c",
    }
    assert found.parts == {"1.jpg": "train", "images/b/1.jpg": "validation", "c/2.jpg": "test"}


def test_one_place_for_several_parts_is_no_split(tmp_path: Path) -> None:
    image(tmp_path, "images/1.jpg", LINE, "labels/1.txt")
    table(tmp_path, train="images", val="images")
    found = Found()
    assert len(list(read_yolo(tmp_path, found))) == 1
    assert not found.parts


def test_classes_txt_names_the_classes_where_there_is_no_table(tmp_path: Path) -> None:
    image(tmp_path, "images/val/1.jpg", LINE, "labels/val/1.txt")
    image(tmp_path, "images/val/empty.jpg")
    (tmp_path / "labels" / "classes.txt").write_bytes("a\nb, \u2028c\n".encode())
    found = Found()
    rows, problems = separate(read_yolo(tmp_path, found))
    assert not problems
    assert [(row.file_name, row.labels) for row in rows] == [("1.jpg", ("b, \u2028c",)), ("empty.jpg", ())]
    assert found.parts == {"1.jpg": "validation", "empty.jpg": "validation"}
    assert found.notes == ["1 images have no label file: they count as images with nothing on them"]


@pytest.mark.parametrize("names", ["names:\n  0: no\n  1: 1e3", "names: [no, 1e3]", "names:\n- no\n- 1e3"])
def test_names_are_texts_whatever_yaml_makes_of_them(names: str, tmp_path: Path) -> None:
    image(tmp_path, "1.jpg", "0 0.5 0.5 0.2 0.4\n" + LINE)
    (tmp_path / "data.yaml").write_text(f"train: .\n{names}\n", encoding="utf-8")
    row = only(tmp_path)
    assert isinstance(row, Row) and row.labels == ("no", "1e3")


def test_more_columns_are_a_mask(tmp_path: Path) -> None:
    image(tmp_path, "1.jpg", "1 0.1 0.1 0.9 0.1 0.9 0.5\n" + LINE)
    table(tmp_path, train=".")
    row = only(tmp_path)
    assert isinstance(row, Row) and row.kind == "polygons"
    assert row.boxes[0] == Box("white cap", 0.1, 0.1, 0.9, 0.5, polygon=((0.1, 0.1, 0.9, 0.1, 0.9, 0.5),))
    assert row.boxes[1].polygon == ()


def test_six_decimals_at_the_edge_are_rounding(tmp_path: Path) -> None:
    image(tmp_path, "1.jpg", "1 0.083333 0.5 0.166667 1.000001\n")
    table(tmp_path, train=".")
    row = only(tmp_path)
    assert isinstance(row, Row)
    assert (row.boxes[0].top_x, row.boxes[0].top_y, row.boxes[0].bottom_y) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("line", "words", "repairable"),
    [
        ("1 0.5 0.5 0.2", "found 4 columns", False),
        ("1 0.5 0.5 0.2 0.4 0.9", "found 6 columns", False),  # a detector's output with its score
        ("2 0.5 0.5 0.2 0.4", "expected a class from 0 to 1, found 2", False),
        ("-1 0.5 0.5 0.2 0.4", "found -1", False),
        ("cap 0.5 0.5 0.2 0.4", "expected a class number and fractions, found 'cap 0.5", False),
        ("1 0.5 0.5 nan 0.4", "expected finite numbers", False),
        ("1 0.5 0.5 0 0.4", "no extent", True),
        ("1 320 240 20 40", "expected a fraction in [0, 1], found 310", True),
        ("1 0.1 0.1 0.9 0.1 0.9 1.5", "ring 1: expected a fraction", False),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(line: str, words: str, repairable: bool, tmp_path: Path) -> None:
    image(tmp_path, "1.jpg", LINE + "\n" + line)
    table(tmp_path, train=".")
    problem = only(tmp_path)
    assert isinstance(problem, Problem)
    assert (problem.file, problem.line) == (str(tmp_path / "1.txt"), 3)
    assert words in problem.reason
    assert (problem.row is not None) is repairable


def test_labels_without_an_image_are_a_problem(tmp_path: Path) -> None:
    image(tmp_path, "images/1.jpg", LINE, "labels/1.txt")
    (tmp_path / "labels" / "2.txt").write_text(LINE)
    table(tmp_path, train="images")
    row, problem = read_yolo(tmp_path)
    assert isinstance(row, Row)
    assert isinstance(problem, Problem) and problem.file.endswith("2.txt")


def test_what_is_no_yolo_set_is_refused(tmp_path: Path) -> None:
    image(tmp_path, "1.jpg")
    with pytest.raises(DataError, match=r"data\.yaml or classes\.txt"):
        list(read_yolo(tmp_path))
    table(tmp_path, train=".")
    with pytest.raises(DataError, match="expected label files"):
        list(read_yolo(tmp_path))
    table(tmp_path, train="nowhere")
    with pytest.raises(NotFoundError, match="nowhere"):
        list(read_yolo(tmp_path))
    for text, words in [
        ("names: [", "YAML"),
        ("[]", "mapping"),
        ("names: x\ntrain: .", "names"),
        ("names: []", "train"),
    ]:
        (tmp_path / "data.yaml").write_text(text)
        with pytest.raises(DataError, match=words):
            list(read_yolo(tmp_path))


def test_what_yolo_cannot_hold_is_said_and_classes_are_refused(tmp_path: Path) -> None:
    small, large = (0.0, 0.0, 0.1, 0.0, 0.1, 0.1), (0.0, 0.0, 0.5, 0.0, 0.5, 0.5)
    row = Row("", (Box("can", 0.0, 0.0, 0.5, 0.5, True, (small, large)),), kind="polygons", file_name="1.jpg")
    notes = write_yolo([row], tmp_path, {})
    assert (tmp_path / "labels" / "1.txt").read_text() == "0 0 0 0.5 0 0.5 0.5\n"
    assert [note.split(":")[0] for note in notes] == [
        "YOLO cannot hold more than one ring an object (the largest is kept)",
        "YOLO cannot hold the crowd flag (boxes are kept)",
    ]
    with pytest.raises(DataError, match="found class"):
        write_yolo([Row("", classes=("a",), kind="class", file_name="1.jpg")], tmp_path, {})
