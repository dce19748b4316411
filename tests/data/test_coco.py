"""COCO: sub-folders, what tools leave out, masks, parts; nothing is dropped and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_training.data import json_file
from model_training.data.coco import read_coco, write_coco
from model_training.data.drafting import Found
from model_training.data.problems import Problem, separate
from model_training.data.rows import Row
from scoring.errors import DataError


def data_set(folder: Path, *annotations: dict[str, Any], names: tuple[str, ...] = ("1.jpg",), **more: Any) -> Path:
    """A COCO file with its images, 40 x 20 pixels each, numbered from 1; annotations are on image 1 by default."""
    images = [{"id": at, "file_name": name, "width": 40, "height": 20} for at, name in enumerate(names, 1)]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20)).save(folder / name)
    base = {"image_id": 1, "category_id": 7, "bbox": [10, 5, 20, 10]}
    listed = [{"id": at} | base | annotation for at, annotation in enumerate(annotations, 1)]
    categories = [{"id": 90, "name": "a, b"}, {"id": 7, "name": "white cap"}]
    value = {"images": images, "annotations": listed, "categories": categories} | more
    (folder / "coco.json").write_text(json.dumps(value), encoding="utf-8")
    return folder / "coco.json"


def only(path: Path) -> Row | Problem:
    (item,) = read_coco(path)
    return item


def test_the_same_base_name_in_two_folders_is_two_images(tmp_path: Path) -> None:
    names = ("a/1.jpg", "b/1.jpg", "my dir/1, 2.jpg")
    file = data_set(tmp_path, {"image_id": 1}, {"image_id": 2, "category_id": 90}, names=names)
    rows, problems = separate(read_coco(file))
    assert not problems
    assert [(row.file_name, row.labels) for row in rows] == [
        (names[0], ("white cap",)),
        (names[1], ("a, b",)),  # categories need not be numbered in a row
        (names[2], ()),  # no annotation: nothing on it
    ]
    assert [Path(row.image_url) for row in rows] == [tmp_path / name for name in names]


def test_an_image_that_is_missing_is_never_taken_from_another_folder(tmp_path: Path) -> None:
    file = data_set(tmp_path, names=("a/1.jpg", "b/1.jpg"))
    (tmp_path / "a" / "1.jpg").unlink()
    problem, row = read_coco(file)
    assert isinstance(problem, Problem) and "a/1.jpg: expected this image below" in problem.reason
    assert isinstance(row, Row) and row.file_name == "b/1.jpg"


@pytest.mark.parametrize(("said", "crowd"), [({}, False), ({"iscrowd": None}, False), ({"iscrowd": 1}, True)])
def test_iscrowd_may_be_missing(said: dict[str, Any], crowd: bool, tmp_path: Path) -> None:
    row = only(data_set(tmp_path, said))
    assert isinstance(row, Row) and row.boxes[0].is_crowd is crowd


@pytest.mark.parametrize("bbox", [[0, 0, 1, 1], [0.2, 0.3, 0.5, 0.6], [0.5, 0.5, 1.4, 1.4]])
def test_boxes_of_a_pixel_and_less_are_pixels(bbox: list[float], tmp_path: Path) -> None:
    row = only(data_set(tmp_path, {"bbox": bbox}))
    assert isinstance(row, Row)
    assert row.boxes[0].bottom_x == pytest.approx((bbox[0] + bbox[2]) / 40)


def test_masks_are_kept_as_rings_and_run_lengths_keep_their_box(tmp_path: Path) -> None:
    ring = [10.0, 5.0, 30.0, 5.0, 30.0, 15.0]
    runs = {"counts": [1, 2], "size": [20, 40]}
    row = only(
        data_set(
            tmp_path,
            {"segmentation": [ring, ring]},
            {"segmentation": runs, "iscrowd": 1},
            {"segmentation": [ring], "bbox": None},
            {"segmentation": []},
        )
    )
    assert isinstance(row, Row) and row.kind == "polygons"
    scaled = (0.25, 0.25, 0.75, 0.25, 0.75, 0.75)
    assert [box.polygon for box in row.boxes] == [(scaled, scaled), (), (scaled,), ()]
    assert [box.is_crowd for box in row.boxes] == [False, True, False, False]
    assert {(box.top_x, box.top_y, box.bottom_x, box.bottom_y) for box in row.boxes} == {(0.25, 0.25, 0.75, 0.75)}


@pytest.mark.parametrize(
    ("annotation", "words", "repairable"),
    [
        ({"bbox": [10, 5, 0, 10]}, "1.jpg, annotation 1 (white cap): no extent: expected left < right", True),
        ({"bbox": [10, 5, 31, 10]}, "right: expected a fraction in [0, 1], found 1.025", True),
        ({"bbox": [10, 5, 20]}, "bbox: expected four finite numbers", False),
        ({"bbox": ["10", 5, 20, 10]}, "bbox: expected four finite numbers", False),
        ({"bbox": None}, "bbox: expected four finite numbers, found None", False),
        ({"bbox": None, "segmentation": {"counts": "x"}}, "bbox: expected four finite numbers", False),
        ({"category_id": 8}, "category 8 is not listed", False),
        ({"iscrowd": "yes"}, "iscrowd: expected 0 or 1", False),
        ({"segmentation": [[1, 2, 3, 4]]}, "ring 1: expected at least 3 points x, y, found 4 numbers", False),
        ({"segmentation": [[1, 2, 3, 4, 5, "6"]]}, "segmentation: expected lists of numbers", False),
        ({"image_id": 5}, "1 annotations are of image 5, which is not listed", False),
        ({"image_id": [5]}, "expected an annotation with image_id", False),
    ],
)
def test_what_is_wrong_is_named(annotation: dict[str, Any], words: str, repairable: bool, tmp_path: Path) -> None:
    _, problems = separate(read_coco(data_set(tmp_path, annotation)))
    (problem,) = problems
    assert words in problem.reason and problem.file.endswith("coco.json")
    assert (problem.row is not None) is repairable


def test_lists_that_contradict_themselves_are_named(tmp_path: Path) -> None:
    file = data_set(tmp_path)
    value = json.loads(file.read_text())
    value["images"] += [value["images"][0], {"id": 9}, {"id": 3, "file_name": "../1.jpg"}]
    value["categories"] += [{"id": 7, "name": "other"}, {"id": 3}]
    file.write_text(json.dumps(value))
    rows, problems = separate(read_coco(file))
    reasons = " | ".join(problem.reason for problem in problems)
    assert len(rows) == 1
    for words in (
        "image id 1 is given twice",
        "an id of its own",
        "with id and file_name",
        "../1.jpg: expected this image",
    ):
        assert words in reasons


def test_a_missing_size_is_read_from_the_image(tmp_path: Path) -> None:
    file = data_set(tmp_path, {}, names=("1.jpg", "2.jpg"))
    value = json.loads(file.read_text())
    for image in value["images"]:
        del image["width"]
    (tmp_path / "2.jpg").write_bytes(b"no image")
    file.write_text(json.dumps(value))
    row, problem = read_coco(file)
    assert isinstance(row, Row) and (row.width, row.height) == (40, 20)
    assert isinstance(problem, Problem) and "2.jpg: expected width and height" in problem.reason


@pytest.mark.parametrize(
    "layout",
    [
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json", "train2017", "val2017"),
        ("train/_annotations.coco.json", "valid/_annotations.coco.json", "train", "valid"),
        ("annotations/instances_train.json", "annotations/instances_val.json", "images/train", "images/val"),
    ],
)
def test_one_file_a_part_gives_the_parts_and_equal_names_stay_apart(layout: tuple[str, ...], tmp_path: Path) -> None:
    for at in (0, 1):
        made = data_set(tmp_path / layout[at + 2], {})
        (tmp_path / layout[at]).parent.mkdir(exist_ok=True, parents=True)
        made.rename(tmp_path / layout[at])
    if layout[0].startswith("annotations"):  # the published set has other files beside these
        (tmp_path / "annotations" / "captions_train.json").write_text("{}")
    found = Found()
    rows, problems = separate(read_coco(tmp_path, found))
    assert not problems
    assert len({row.file_name for row in rows}) == len({row.image_url for row in rows}) == 2
    assert sorted(found.parts.values()) == ["train", "validation"]
    assert all(found.parts[row.file_name][:3] in row.image_url for row in rows)


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}', '{"images": [], "annotations": [NaN]}'])
def test_a_file_that_is_not_coco_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json: expected COCO JSON"):
        list(read_coco(tmp_path / "a.json"))


def test_a_source_comes_back_with_the_very_same_numbers(tmp_path: Path) -> None:
    boxes = [[10.13, 5.07, 20.29, 10.41], [0, 0, 40, 20], [0.1, 0.2, 0.3, 0.7], [33.333333, 1, 6.666667, 2.5]]
    file = data_set(tmp_path, *[{"bbox": box} for box in boxes])
    rows, _ = separate(read_coco(file))
    write_coco(rows, tmp_path / "out", {})
    written = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())
    assert [annotation["bbox"] for annotation in written["annotations"]] == boxes
    assert [annotation["area"] for annotation in written["annotations"]] == [box[2] * box[3] for box in boxes]
    assert [(image["width"], image["height"]) for image in written["images"]] == [(40, 20)]


def test_a_file_above_the_ceiling_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_file, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="of at most 10 bytes"):
        list(read_coco(data_set(tmp_path)))
