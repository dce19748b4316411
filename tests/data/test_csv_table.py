"""CSV: the header says the unit, never the values; labels and paths stay whole; faults have their line."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from model_training.data.csv_table import read_csv
from model_training.data.drafting import Found
from model_training.data.problems import Problem, separate
from model_training.data.rows import Row
from scoring.errors import DataError


def table(folder: Path, *lines: str, images: tuple[str, ...] = ("1.jpg",), name: str = "a.csv") -> Path:
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20)).save(folder / image)
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return folder / name


def edges(item: Row | Problem) -> list[tuple[float, float, float, float]]:
    assert isinstance(item, Row), item
    return [(box.top_x, box.top_y, box.bottom_x, box.bottom_y) for box in item.boxes]


@pytest.mark.parametrize(
    "header",
    [
        "filename,xmin,ymin,xmax,ymax,label",
        "image_path,x1,y1,x2,y2,class_name",
        "File Name,left,top,right,bottom,Category",
        "\ufefffilename,x_min,y_min,x_max,y_max,class",
    ],
)
def test_pixels_in_the_spellings_that_are_common(header: str, tmp_path: Path) -> None:
    (row,) = read_csv(table(tmp_path, header, "1.jpg,10,5,30,15,can"))
    assert edges(row) == [(0.25, 0.25, 0.75, 0.75)]


def test_the_header_says_the_unit_whatever_the_values(tmp_path: Path) -> None:
    (pixels,) = read_csv(table(tmp_path, "filename,xmin,ymin,xmax,ymax,label", "1.jpg,0.2,0.2,1.2,1,can"))
    assert edges(pixels) == [(0.2 / 40, 0.2 / 20, 1.2 / 40, 1 / 20)]  # boxes under 1.5 pixels are not fractions
    (fractions,) = read_csv(table(tmp_path, "filename,topX,topY,bottomX,bottomY,label", "1.jpg,0,0,1,1,can"))
    assert edges(fractions) == [(0, 0, 1, 1)]
    file = table(tmp_path, "filename,xmin,ymin,xmax,ymax,label", "1.jpg,0,0,1,1,can")
    (told,) = read_csv(file, units="fractions")
    assert edges(told) == [(0, 0, 1, 1)]
    (wrong,) = read_csv(table(tmp_path, "filename,topX,topY,bottomX,bottomY,label", "1.jpg,10,5,30,15,can"))
    assert isinstance(wrong, Problem) and "expected a fraction in [0, 1], found 10" in wrong.reason


def test_rows_of_one_image_are_one_row_wherever_they_stand_and_whole(tmp_path: Path) -> None:
    file = table(
        tmp_path,
        "filename,xmin,ymin,xmax,ymax,label,iscrowd",
        '"my dir/a, 1.jpg",10,5,30,15,"white cap, ""new""",1',
        "2.jpg,,,,,,",
        '"my dir/a, 1.jpg",0,0,40,20,can,0',
        images=("my dir/a, 1.jpg", "2.jpg"),
    )
    one, two = read_csv(file)
    assert isinstance(one, Row) and isinstance(two, Row)
    assert one.file_name == "my dir/a, 1.jpg"
    assert one.labels == ('white cap, "new"', "can")
    assert [box.is_crowd for box in one.boxes] == [True, False]
    assert two.boxes == () and two.kind == "boxes"


def test_each_image_has_its_own_size(tmp_path: Path) -> None:
    Image.new("RGB", (80, 10)).save(tmp_path / "2.jpg")
    file = table(tmp_path, "filename,xmin,ymin,xmax,ymax,label", "1.jpg,0,0,10,10,a", "2.jpg,0,0,10,10,a")
    assert [edges(row)[0][2:] for row in read_csv(file)] == [(0.25, 0.5), (0.125, 1.0)]
    told = table(tmp_path, "filename,width,height,xmin,ymin,xmax,ymax,label", "1.jpg,20,10,0,0,10,10,a")
    assert [edges(row)[0][2:] for row in read_csv(told)] == [(0.5, 1.0)]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_delimiters_are_told_by_the_header(mark: str, tmp_path: Path) -> None:
    file = table(tmp_path, mark.join(["filename", "label"]), mark.join(["1.jpg", "a, b"]))
    (row,) = read_csv(file)
    assert isinstance(row, Row) and row.classes == ("a, b",)


def test_classes_and_sets_of_classes(tmp_path: Path) -> None:
    (one,) = read_csv(table(tmp_path, "filename,label", '1.jpg,"a, b"'))
    assert isinstance(one, Row) and (one.kind, one.classes) == ("class", ("a, b",))
    (several,) = read_csv(table(tmp_path, "filename,labels", '1.jpg,"[""a, b"", ""c""]"'))
    assert isinstance(several, Row) and (several.kind, several.classes) == ("classes", ("a, b", "c"))


def test_parts_come_from_a_column_or_from_the_files(tmp_path: Path) -> None:
    images = ("1.jpg", "2.jpg")
    found = Found()
    list(read_csv(table(tmp_path, "filename,label,split", "1.jpg,a,val", "2.jpg,a,Test", images=images), found))
    assert found.parts == {"1.jpg": "validation", "2.jpg": "test"}
    (tmp_path / "a.csv").unlink()
    table(tmp_path, "filename,label", "1.jpg,a", name="train.csv")
    table(tmp_path, "filename,label", "2.jpg,a", name="labels_valid.csv")
    found = Found()
    assert len(list(read_csv(tmp_path, found))) == 2
    assert found.parts == {"1.jpg": "train", "2.jpg": "validation"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1.jpg,10,5,30,,a,,,", "expected four finite numbers"),
        ("1.jpg,10,5,inf,15,a,,,", "expected four finite numbers"),
        ("1.jpg,10,5,10,15,a,,,", "no extent"),
        ("1.jpg,10,5,99,15,a,,,", "expected a fraction in [0, 1]"),
        ("1.jpg,10,5,30,15,,,,", "label: expected a text that is not blank"),
        ("1.jpg,10,5,30,15", "label: expected a text that is not blank"),
        ("2.jpg,10,5,30,15,a,,,", "2.jpg: expected this image below"),
        (",10,5,30,15,a,,,", "expected a file name"),
        ("1.jpg,10,5,30,15,a,40,x,", "expected width and height"),
        ("1.jpg,10,5,30,15,a,40,21,", "expected 40 x 20 as in the row before, found 40 x 21"),
        ("1.jpg,10,5,30,15,a,,,maybe", "split: expected train, validation or test"),
        ("1.jpg,10,5,30,15,a,,,test", "split: expected train as in the row before"),
        ('1.jpg,10,5,30,15,"a', "not CSV"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(line: str, words: str, tmp_path: Path) -> None:
    header = "filename,xmin,ymin,xmax,ymax,label,width,height,split"
    file = table(tmp_path, header, "1.jpg,1,1,9,9,good,40,20,train", "", line)
    _, problems = separate(read_csv(file))
    (problem,) = problems
    assert (problem.file, problem.line) == (str(file), 4)
    assert words in problem.reason


def test_what_is_wrong_with_classes_is_named(tmp_path: Path) -> None:
    (again,) = read_csv(table(tmp_path, "filename,label", "1.jpg,a", "1.jpg,b"))
    assert isinstance(again, Problem) and again.line == 3 and "column 'labels'" in again.reason
    for cell in ("a;b", '"{}"', '"[1]"', "[" * 99999):
        (bad,) = read_csv(table(tmp_path, "filename,labels", f"1.jpg,{cell}"))
        assert isinstance(bad, Problem), cell
    (tmp_path / "a.csv").write_bytes(b"filename,label\n1.jpg,\xff\n")
    (bytes_,) = read_csv(tmp_path / "a.csv")
    assert isinstance(bytes_, Problem) and (bytes_.line, bytes_.reason) == (2, "not UTF-8")


@pytest.mark.parametrize("header", ["1.jpg,10,5,30,15,a", "", "filename,xmin,ymin,xmax,ymax", "label,xmin"])
def test_a_header_that_says_nothing_is_refused_with_one_that_does(header: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a header with filename and label[\s\S]*filename,xmin,ymin"):
        list(read_csv(table(tmp_path, header, "1.jpg,10,5,30,15,a")))


def test_no_table_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a \.csv file"):
        list(read_csv(tmp_path))
