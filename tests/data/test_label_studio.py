"""Label Studio: percent, uploads and local files; what cannot become labels is a problem, not left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_training.data.drafting import Found
from model_training.data.label_studio import read_label_studio
from model_training.data.problems import Problem
from model_training.data.rows import Row
from scoring.errors import DataError

BOX = {"x": 25, "y": 25.0, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["white cap, new"]}


def region(value: dict[str, Any], kind: str = "rectanglelabels") -> dict[str, Any]:
    return {"type": kind, "original_width": 40, "original_height": 20, "value": value}


def task(*regions: dict[str, Any], image: str = "1.jpg", **data: Any) -> dict[str, Any]:
    return {"id": 12, "data": {"image": image} | data, "annotations": [{"result": list(regions)}]}


def read(folder: Path, *tasks: Any, image: str = "1.jpg", found: Found | None = None) -> list[Row | Problem]:
    (folder / image).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20)).save(folder / image)
    (folder / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    return list(read_label_studio(folder / "export.json", found))


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("1.jpg", "1.jpg"),
        ("my dir/a, 1.jpg", "my dir/a, 1.jpg"),
        ("/data/upload/3/1a2b3c4d-a_1.jpg", "a_1.jpg"),
        ("/data/upload/3/1a2b3c4d-a_1.jpg", "images/1a2b3c4d-a_1.jpg"),
        ("/data/local-files/?d=images/my%20dir/1%2B.jpg", "images/my dir/1+.jpg"),
        ("s3://bucket/deep/1.jpg", "1.jpg"),
    ],
)
def test_images_are_found_by_every_address_it_uses(image: str, file: str, tmp_path: Path) -> None:
    (row,) = read(tmp_path, task(region(BOX), image=image), image=file)
    assert isinstance(row, Row)
    assert Path(row.image_url) == tmp_path / file
    assert (row.width, row.height, row.labels) == (40, 20, ("white cap, new",))
    box = row.boxes[0]
    assert (box.top_x, box.top_y, box.bottom_x, box.bottom_y) == (0.25, 0.25, 0.75, 0.75)


def test_local_files_below_a_root_further_up(tmp_path: Path) -> None:
    home = tmp_path / "caps"
    (row,) = read(home, task(image="/data/local-files/?d=caps/images/1.jpg"), image="images/1.jpg")
    assert isinstance(row, Row) and row.file_name == "1.jpg"


def test_polygons_nothing_and_the_part(tmp_path: Path) -> None:
    ring = {"points": [[10, 10], [90, 10], [90, 50]], "polygonlabels": ["can"]}
    found = Found()
    (row,) = read(tmp_path, task(region(ring, "polygonlabels"), split="valid"), found=found)
    assert isinstance(row, Row) and row.boxes[0].polygon == ((0.1, 0.1, 0.9, 0.1, 0.9, 0.5),)
    assert found.parts == {"1.jpg": "validation"}
    (empty,) = read(tmp_path, task())
    assert isinstance(empty, Row) and empty.boxes == ()


def test_choices_are_classes_and_several_make_all_images_multi_label(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "2.jpg")
    Image.new("RGB", (4, 4)).save(tmp_path / "3.jpg")
    one, two = region({"choices": ["a"]}, "choices"), region({"choices": ["a", "b, c"]}, "choices")
    (row,) = read(tmp_path, task(one))
    assert isinstance(row, Row) and (row.kind, row.classes) == ("class", ("a",))
    rows = read(tmp_path, task(one), task(two, image="2.jpg"), task(image="3.jpg"))
    assert [(row.kind, row.classes) for row in rows if isinstance(row, Row)] == [
        ("classes", ("a",)),
        ("classes", ("a", "b, c")),
        ("classes", ()),
    ]
    _, unanswered = read(tmp_path, task(one), task(image="2.jpg"))
    assert isinstance(unanswered, Problem) and "without a choice" in unanswered.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rotation": 12.5}, "task 12, region 2 (white cap, new): rotated by 12.5 degrees"),
        ({"x": None}, "expected finite x, y, width, height"),
        ({"width": 80}, "right: expected a fraction in [0, 1], found 1.05"),
        ({"height": 0}, "no extent"),
        ({"rectanglelabels": []}, "expected a label, found []"),
        ({"rectanglelabels": ["a", "b"]}, "expected one label an object"),
        ({"rectanglelabels": [" "]}, "label: expected a text that is not blank"),
    ],
)
def test_what_is_wrong_with_a_rectangle_is_named(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    (problem,) = read(tmp_path, task(region(BOX), region(BOX | change)))
    assert isinstance(problem, Problem) and words in problem.reason


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"id": 12, "data": {"image": "1.jpg"}}, "expected one annotation, found 0"),
        (task() | {"annotations": [{"result": []}, {"result": []}]}, "expected one annotation, found 2"),
        (task() | {"annotations": [{"result": [], "was_cancelled": True}]}, "expected one annotation, found 0"),
        ({"id": 12, "data": {"text": "no image"}, "annotations": []}, "expected data with the path of an image"),
        (task(image="2.jpg"), "expected image '2.jpg' below"),
        (task(image="../1.jpg"), "expected image '../1.jpg' below"),
        (task(region({}, "brushlabels")), "expected one of rectanglelabels, polygonlabels, choices"),
        (task(region({"points": [[1]], "polygonlabels": ["a"]}, "polygonlabels")), "expected points [x, y]"),
        (task(region(BOX), region({"choices": ["a"]}, "choices")), "expected boxes or choices, found both"),
        (task(region({"choices": ["a"]}, "choices"), region(BOX)), "expected boxes or choices, found both"),
        (7, "expected data with the path of an image"),
    ],
)
def test_tasks_that_are_no_labels_are_problems(value: Any, words: str, tmp_path: Path) -> None:
    items = read(tmp_path, value)
    assert all(isinstance(item, Problem) for item in items)
    assert words in str(items[0])


@pytest.mark.parametrize("text", ["{}", "[NaN]", ""])
def test_a_file_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match="expected Label Studio's JSON"):
        list(read_label_studio(tmp_path / "a.json"))
