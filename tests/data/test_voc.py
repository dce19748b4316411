"""Pascal VOC: each image its own size, faults with file and line, the parts that come with the data."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from model_training.data.drafting import Found
from model_training.data.problems import Problem, separate
from model_training.data.rows import Box, Row
from model_training.data.voc import read_voc, write_voc
from scoring.errors import DataError


def annotation(folder: Path, name: str, *boxes: str, size: tuple[int, int] | None = (40, 20), image: str = "") -> None:
    """One XML as labelling tools write it, and its image."""
    said = f"<size>\n<width>{size[0]}</width>\n<height>{size[1]}</height>\n</size>" if size else ""
    objects = "".join(f"<object>\n<name>{box.split('|')[0]}</name>\n{box.split('|')[1]}\n</object>\n" for box in boxes)
    image = image or f"{name}.jpg"
    text = f"<annotation>\n<filename>{image.rpartition('/')[2]}</filename>\n{said}\n{objects}</annotation>\n"
    file = folder / "Annotations" / f"{name}.xml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    picture = folder / "JPEGImages" / image
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size or (40, 20)).save(picture)


def corners(left: float, top: float, right: float, bottom: float) -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), (left, top, right, bottom), strict=True)
    return f"<bndbox>{''.join(f'<{side}>{value}</{side}>' for side, value in sides)}</bndbox>"


def only(path: Path) -> Row | Problem:
    (item,) = read_voc(path)
    return item


def test_every_row_has_the_size_of_its_own_annotation(tmp_path: Path) -> None:
    sizes = {"a": (40, 20), "b": (100, 50), "c": (7, 9)}
    for name, size in sizes.items():
        annotation(tmp_path, name, f"can|{corners(1, 1, 4, 4)}", size=size)
    rows, problems = separate(read_voc(tmp_path))
    assert not problems
    assert {row.file_name[0]: (row.width, row.height) for row in rows} == sizes
    assert [row.boxes[0].bottom_x for row in rows] == [4 / 40, 4 / 100, 4 / 7]


@pytest.mark.parametrize(
    ("pixels", "fractions"),
    [
        ((1, 1, 40, 20), (0, 0, 1, 1)),  # both ends inside
        ((0, 0, 40, 20), (0, 0, 1, 1)),  # a tool that counts from 0
        ((11, 6, 20, 10), (10 / 40, 5 / 20, 20 / 40, 10 / 20)),
        ((1.5, 1, 2.5, 20.4), (0.5 / 40, 0, 2.5 / 40, 1)),  # under 1.5 pixels: still pixels; 0.4 outside is rounding
        ((1, 1, 1.5, 1.5), (0, 0, 1.5 / 40, 1.5 / 20)),
    ],
)
def test_pixels_count_from_one_and_both_ends_belong_to_the_box(
    pixels: tuple[float, ...], fractions: tuple[float, ...], tmp_path: Path
) -> None:
    annotation(tmp_path, "a", f"can|{corners(*pixels)}")
    row = only(tmp_path)
    assert isinstance(row, Row)
    box = row.boxes[0]
    assert (box.top_x, box.top_y, box.bottom_x, box.bottom_y) == pytest.approx(fractions)


@pytest.mark.parametrize(
    ("box", "words", "repairable"),
    [
        (corners(5, 5, 5, 9), "no extent: expected left < right", True),
        (corners(9, 5, 6, 9), "no extent: expected left < right", True),
        (corners(5, 5, 42, 9), "right: expected a fraction in [0, 1], found 1.05", True),
        (corners(-3, 5, 9, 9), "left: expected a fraction in [0, 1]", True),
        (corners(float("nan"), 5, 9, 9), "expected <bndbox> with four finite numbers, found xmin 'nan'", False),
        ("<bndbox><xmin>1</xmin></bndbox>", "four finite numbers", False),
        ("", "found no <bndbox>", False),
    ],
)
def test_a_bad_box_is_named_with_its_line(box: str, words: str, repairable: bool, tmp_path: Path) -> None:
    annotation(tmp_path, "a", f"can|{corners(1, 1, 9, 9)}", f"cap|{box}")
    problem = only(tmp_path)
    assert isinstance(problem, Problem)
    assert problem.file == str(tmp_path / "Annotations" / "a.xml")
    assert problem.line in (13, 11)  # of the second <bndbox>, or of its <object> where there is none
    assert problem.reason.startswith("object 2 (cap): ") and words in problem.reason
    assert (problem.row is not None and len(problem.row.boxes) == 2) is repairable


def test_the_degenerate_boxes_of_bccd_are_named_and_its_parts_are_kept(bccd: Path) -> None:
    found = Found()
    rows, problems = separate(read_voc(bccd, found))
    assert len(rows) == 362
    assert [(Path(problem.file).name, problem.line) for problem in problems] == [
        ("BloodImage_00338.xml", 163),
        ("BloodImage_00343.xml", 55),
    ]
    assert all("no extent" in problem.reason for problem in problems)
    parts = list(found.parts.values())
    assert {part: parts.count(part) for part in set(parts)} == {"train": 205, "validation": 87, "test": 72}
    assert not found.notes


def test_labels_and_paths_with_blanks_commas_and_quotes_stay_whole(tmp_path: Path) -> None:
    annotation(tmp_path, "my dir/a, b", f"white cap, &quot;new&quot; &amp; <!-- x -->old|{corners(1, 1, 4, 4)}")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_bytes(b"my dir/a, b\r\n\r\n")
    found = Found()
    (row,) = read_voc(tmp_path, found)
    assert isinstance(row, Row)
    assert row.labels == ('white cap, "new" & old',)
    assert row.file_name == "my dir/a, b.jpg"
    assert found.parts == {"my dir/a, b.jpg": "test"}


def test_the_same_name_in_two_folders_is_two_images(tmp_path: Path) -> None:
    annotation(tmp_path, "a/1", f"can|{corners(1, 1, 4, 4)}", size=(40, 20))
    annotation(tmp_path, "b/1", f"cap|{corners(1, 1, 4, 4)}", size=(80, 20))
    rows, problems = separate(read_voc(tmp_path))
    assert not problems
    assert [(row.file_name, row.width, row.labels) for row in rows] == [
        ("a/1.jpg", 40, ("can",)),
        ("b/1.jpg", 80, ("cap",)),
    ]


def test_annotations_beside_the_images_in_one_folder(tmp_path: Path) -> None:
    annotation(tmp_path, "1", f"can|{corners(1, 1, 4, 4)}")
    (tmp_path / "flat").mkdir()
    for file in [tmp_path / "Annotations" / "1.xml", tmp_path / "JPEGImages" / "1.jpg"]:
        file.rename(tmp_path / "flat" / file.name)
    row = only(tmp_path / "flat")
    assert isinstance(row, Row) and row.file_name == "1.jpg"


def test_a_folder_that_holds_only_the_data_set_will_do(tmp_path: Path) -> None:
    annotation(tmp_path / "VOC2007", "1", f"can|{corners(1, 1, 4, 4)}")
    assert isinstance(only(tmp_path), Row)


def test_no_size_is_read_from_the_image_upright(tmp_path: Path) -> None:
    annotation(tmp_path, "1", f"can|{corners(1, 1, 10, 20)}", size=None)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "JPEGImages" / "1.jpg", exif=exif)
    row = only(tmp_path)
    assert isinstance(row, Row)
    assert (row.width, row.height) == (20, 40)
    assert row.boxes[0].bottom_x == 10 / 20


def test_no_object_is_an_image_with_nothing_on_it_and_parts_of_objects_are_no_objects(tmp_path: Path) -> None:
    annotation(tmp_path, "1")
    annotation(tmp_path, "2", f"man|<part><name>head</name>{corners(1, 1, 2, 2)}</part>{corners(1, 1, 9, 9)}")
    empty, man = read_voc(tmp_path)
    assert isinstance(empty, Row) and empty.boxes == () and empty.kind == "boxes"
    assert isinstance(man, Row) and man.labels == ("man",) and man.boxes[0].bottom_x == 9 / 40


def test_what_is_missing_or_said_twice_is_named(tmp_path: Path) -> None:
    annotation(tmp_path, "1", f"can|{corners(1, 1, 4, 4)}")
    annotation(tmp_path, "2", f"can|{corners(1, 1, 4, 4)}")
    annotation(tmp_path, "3", f" |{corners(1, 1, 4, 4)}")
    (tmp_path / "JPEGImages" / "2.jpg").unlink()
    annotation(tmp_path, "1-again", f"can|{corners(1, 1, 4, 4)}", image="1.jpg")
    (tmp_path / "Annotations" / "4.xml").write_text("<annotation><object>", encoding="utf-8")
    (tmp_path / "Annotations" / "5.xml").write_text("<html/>", encoding="utf-8")
    Image.new("RGB", (4, 4)).save(tmp_path / "JPEGImages" / "bare.png")
    main = tmp_path / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "train.txt").write_text("1\n3\nghost\n", encoding="utf-8")
    (main / "val.txt").write_text("3\n", encoding="utf-8")
    found = Found()
    rows, problems = separate(read_voc(tmp_path, found))
    assert [row.file_name for row in rows] == ["1.jpg"]
    reasons = " | ".join(map(str, problems))
    for words in (
        "val.txt:1: 3 is in train already",
        "2.xml:1: expected its image '2.jpg'",
        "1.jpg is annotated twice",
        "3.xml:9: object 1: label: expected a text that is not blank",
        "4.xml:1: not XML",
        "5.xml:1: expected an <annotation> document, found <html>",
    ):
        assert words in reasons
    assert len(problems) == 6
    assert [note[:45] for note in found.notes] == [
        "1 names in ImageSets have no annotation, such",
        "1 images have no annotation and are left out,",
    ]


def test_trainval_counts_where_there_is_no_train(tmp_path: Path) -> None:
    annotation(tmp_path, "1")
    annotation(tmp_path, "2")
    main = tmp_path / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "trainval.txt").write_text("1\n", encoding="utf-8")
    (main / "test.txt").write_text("2", encoding="utf-8")
    found = Found()
    list(read_voc(tmp_path, found))
    assert found.parts == {"1.jpg": "train", "2.jpg": "test"}


@pytest.mark.parametrize(
    ("edges", "written"),
    [
        ((0.0, 0.0, 1.0, 1.0), (1, 1, 40, 20)),
        ((0.24, 0.24, 0.51, 0.51), (11, 6, 20, 10)),
        ((0.25, 0.25, 0.275, 0.3), (10.5, 5.5, 11.5, 6.5)),  # one pixel: whole numbers would leave it without extent
    ],
)
def test_boxes_are_written_as_whole_pixels_unless_they_are_thin(
    edges: tuple[float, float, float, float], written: tuple[float, ...], tmp_path: Path
) -> None:
    write_voc([Row("", (Box("can", *edges),), width=40, height=20, file_name="1.jpg")], tmp_path, {})
    text = (tmp_path / "Annotations" / "1.xml").read_text(encoding="utf-8")
    assert corners(*written) in text.replace("\n", "")


def test_what_voc_cannot_hold_is_refused_or_said(tmp_path: Path) -> None:
    def row(box: Box, name: str = "1.jpg") -> Row:
        return Row("", (box,), width=40, height=20, file_name=name)

    with pytest.raises(DataError, match="half a pixel"):
        write_voc([row(Box("can", 0.0, 0.0, 0.001, 1.0))], tmp_path / "thin", {})
    with pytest.raises(DataError, match="text that XML can hold"):
        write_voc([row(Box("a\x01", 0.0, 0.0, 0.5, 1.0))], tmp_path / "mark", {})
    with pytest.raises(DataError, match="found class"):
        write_voc([Row("", classes=("a",), kind="class", file_name="1.jpg")], tmp_path / "class", {})
    with pytest.raises(DataError, match="width and height"):
        write_voc([Row("", file_name="1.jpg")], tmp_path / "size", {})
    ring = (0.0, 0.0, 0.5, 0.0, 0.5, 1.0)
    notes = write_voc([row(Box("can", 0.0, 0.0, 0.5, 1.0, True, (ring,)))], tmp_path / "ring", {})
    assert [note.split(":")[0] for note in notes] == [
        "Pascal VOC cannot hold polygons (boxes are kept)",
        "Pascal VOC cannot hold the crowd flag (boxes are kept)",
    ]
