"""JSON Lines: the four label shapes, every form of every field, and every fault named with its line."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.data import jsonl
from model_training.data.image_urls import datastore_path
from model_training.data.jsonl import parse_rows, read_rows, resolve_image, write_rows
from model_training.data.problems import Problem
from model_training.data.rows import Box, Row
from scoring.errors import DataError, NotFoundError, StorageError

GOLDEN = Path(__file__).resolve().parents[1] / "contracts" / "labelled_rows.jsonl"
CAN = {"label": "can", "topX": 0.26, "topY": 0.4, "bottomX": 0.73, "bottomY": 0.83}
EXPECTED = [
    Row(
        "azureml://subscriptions/S/resourcegroups/R/workspaces/W/datastores/D/paths/img/1.jpg",
        classes=("can",),
        kind="class",
        width=499,
        height=666,
        format="jpg",
        file_name="img/1.jpg",
    ),
    Row("AmlDatastore://D/img/1.jpg", classes=("can", "carton"), kind="classes", format="jpg", file_name="img/1.jpg"),
    Row("img/1.jpg", (Box("can", 0.26, 0.4, 0.73, 0.83),), format="jpg", file_name="img/1.jpg"),
    Row(
        "img/1.jpg",
        (Box("can", 0.57, 0.66, 0.58, 0.7, polygon=((0.57, 0.66, 0.57, 0.67, 0.58, 0.7),)),),
        kind="polygons",
        format="jpg",
        file_name="img/1.jpg",
    ),
]


def parsed(path: Path, *lines: object) -> list[Row | Problem]:
    """What a file of these lines holds; texts and bytes as they are, other values as JSON."""
    raw = [line if isinstance(line, bytes) else _text(line).encode() for line in lines]
    path.joinpath("rows.jsonl").write_bytes(b"\n".join(raw))
    return list(parse_rows(path / "rows.jsonl"))


def _text(line: object) -> str:
    return line if isinstance(line, str) else json.dumps(line)


def reason(path: Path, row: object) -> str:
    """The only thing wrong with `row`."""
    (item,) = parsed(path, row)
    assert isinstance(item, Problem), item
    assert item.line == 1
    return item.reason


@pytest.mark.parametrize("at", range(4))
def test_the_four_shapes_of_the_contract_are_read_and_written(at: int, tmp_path: Path) -> None:
    line = GOLDEN.read_text(encoding="utf-8").splitlines()[at]
    assert parsed(tmp_path, line) == [EXPECTED[at]]
    write_rows(tmp_path / "again.jsonl", [EXPECTED[at]])
    assert json.loads((tmp_path / "again.jsonl").read_bytes()) == json.loads(line)


@pytest.mark.parametrize(
    ("value", "crowd"),
    [(0, False), (1, True), ("true", True), ("False", False), ("1", True), (True, True), (False, False), (None, False)],
)
def test_crowd_flags_in_all_their_spellings(value: Any, crowd: bool, tmp_path: Path) -> None:
    (row,) = parsed(tmp_path, {"image_url": "1.jpg", "label": [CAN | {"isCrowd": value}]})
    assert isinstance(row, Row)
    assert row.boxes[0].is_crowd is crowd


@pytest.mark.parametrize(("value", "pixels"), [(499, 499), ("499px", 499), ("499", 499), (None, None)])
def test_sizes_in_all_their_spellings(value: Any, pixels: int | None, tmp_path: Path) -> None:
    (row,) = parsed(tmp_path, {"image_url": "1.jpg", "image_details": {"width": value}, "label": []})
    assert isinstance(row, Row)
    assert row.width == pixels


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ({"topX": "0.1"}, "topX: expected a number, found '0.1'"),
        ({"topX": True}, "topX: expected a number, found True"),
        ({"topX": 1.2}, "topX: expected a fraction in [0, 1], found 1.2"),
        ({"topX": -0.001}, "topX: expected a fraction in [0, 1], found -0.001"),
        ({"bottomX": 0.26}, "no extent: expected topX < bottomX, found 0.26 and 0.26"),
        ({"topY": 0.9}, "no extent: expected topY < bottomY, found 0.9 and 0.83"),
        ({"topX": None}, "missing topX"),
        ({"label": "  "}, "label: expected a text that is not blank"),
        ({"label": 3}, "label: expected a text that is not blank, found 3"),
        ({"isCrowd": "maybe"}, "isCrowd: expected 0, 1, true or false, found 'maybe'"),
        ({"isCrowd": 2}, "isCrowd: expected 0, 1, true or false, found 2"),
        ({"polygon": []}, "polygon: expected a list of rings"),
        ({"polygon": [[0.1, 0.1, 0.2, 0.2]]}, "ring 1: expected at least 3 points x, y, found 4 numbers"),
        ({"polygon": [[0.1, 0.1, 0.2, 0.2, 0.3, 2]]}, "ring 1: expected a fraction in [0, 1], found 2"),
    ],
)
def test_what_is_wrong_with_a_box_is_said(box: dict[str, Any], words: str, tmp_path: Path) -> None:
    found = reason(tmp_path, {"image_url": "1.jpg", "label": [CAN, CAN | box]})
    assert found.startswith("object 2: ")
    assert words in found


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([1], "expected an object with image_url and label, found [1]"),
        ({"label": "can"}, "image_url: expected"),
        ({"image_url": "  ", "label": "can"}, "image_url: expected"),
        ({"image_url": "https://x/1.jpg", "label": "can"}, "found 'https://x/1.jpg'"),
        ({"image_url": "azureml://datastores/D/1.jpg", "label": "can"}, "azureml://…/datastores/D/paths/P"),
        ({"image_url": "AmlDatastore://D/../1.jpg", "label": "can"}, "'..' leads out of the datastore"),
        ({"image_url": "file://host/1.jpg", "label": "can"}, "on this machine"),
        ({"image_url": "a\0.jpg", "label": "can"}, "NUL"),
        ({"image_url": "1.gif", "label": "can"}, "image format: expected one of jpg"),
        ({"image_url": "1.jpg", "image_details": {"format": "heic"}, "label": "can"}, "found 'heic'"),
        ({"image_url": "1.jpg", "image_details": {"width": "12cm"}, "label": "can"}, "width: expected pixels"),
        ({"image_url": "1.jpg", "image_details": {"width": 0}, "label": "can"}, "width: expected pixels"),
        ({"image_url": "1.jpg", "image_details": [], "label": "can"}, "image_details: expected an object"),
        ({"image_url": "1.jpg"}, "label: missing"),
        ({"image_url": "1.jpg", "label": None}, "label: expected a text or a list"),
        ({"image_url": "1.jpg", "label": ""}, "label: expected a text that is not blank"),
        ({"image_url": "1.jpg", "label": ["a", "a"]}, "each class once"),
        ({"image_url": "1.jpg", "label": ["a", 1]}, "object 1: expected an object"),
        ({"image_url": "1.jpg", "label": "a", "sha256": "12"}, "sha256: expected 64"),
        ({"image_url": "1.jpg", "label": "a", "file_name": 7}, "file_name: expected a text"),
        ('{"image_url": "1.jpg", "label"', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"image_url": "\\ud800.jpg", "label": "a"}', "not JSON"),
        (b'{"image_url": "\xff.jpg", "label": "a"}', "not UTF-8: byte 16 of the line is 0xff"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(row: object, words: str, tmp_path: Path) -> None:
    items = parsed(tmp_path, row)
    assert all(isinstance(item, Problem) for item in items)
    assert words in str(items[0])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have_are_named(number: str, tmp_path: Path) -> None:
    line = json.dumps({"image_url": "1.jpg", "label": [CAN]}).replace("0.26", number)
    assert "object 1: topX: expected a finite number, found " in reason(tmp_path, line)


def test_every_bad_row_is_named_not_the_first_only(tmp_path: Path) -> None:
    good, bad = {"image_url": "1.jpg", "label": [CAN]}, {"image_url": "2.jpg", "label": [{"label": "can"}, 3]}
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, [good, bad, good, bad])) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"found 4 problems \(and 2 good rows\)") as caught:
        read_rows(file)
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [f"{file}:{line}" for line in (2, 2, 4, 4)]


def test_problems_of_edges_alone_carry_the_row_so_that_it_may_be_repaired(tmp_path: Path) -> None:
    outside, nameless = CAN | {"bottomX": 1.5}, CAN | {"label": ""}
    one, two, three = parsed(
        tmp_path,
        {"image_url": "1.jpg", "label": [CAN, outside, outside]},
        {"image_url": "2.jpg", "label": [CAN, outside, nameless]},
    )[:3]
    assert isinstance(one, Problem) and isinstance(two, Problem) and isinstance(three, Problem)
    assert one.row is two.row and one.row is not None
    assert [box.bottom_x for box in one.row.boxes] == [0.73, 1.5, 1.5]
    assert three.row is None


def test_a_byte_order_mark_other_line_ends_and_blank_lines_are_no_problem(tmp_path: Path) -> None:
    line = json.dumps({"image_url": "ö.jpg", "label": "a"}, ensure_ascii=False).encode()
    (tmp_path / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line + b"\r\nx")
    first, second, broken = parse_rows(tmp_path / "rows.jsonl")
    assert first == second
    assert isinstance(broken, Problem) and broken.line == 5


def test_a_line_without_end_is_passed_over_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE", 100)
    good = {"image_url": "1.jpg", "label": "a"}
    long, row = parsed(tmp_path, "x" * 1000, good)
    assert isinstance(long, Problem) and "longer than 100 bytes" in long.reason
    assert isinstance(row, Row)


def test_kinds_do_not_mix_and_nothing_is_of_the_kind_of_the_others(tmp_path: Path) -> None:
    empty, sets, boxes = (
        {"image_url": f"{name}.jpg", "label": label} for name, label in [("e", []), ("s", ["a"]), ("b", [CAN])]
    )
    first, _, wrong, last = parsed(tmp_path, empty, sets, boxes, empty)
    assert isinstance(first, Row) and isinstance(last, Row) and first.kind == last.kind == "classes"
    assert isinstance(wrong, Problem) and wrong.line == 3 and "expected a list of classes" in wrong.reason
    only = parsed(tmp_path, empty, {"image_url": "c.jpg", "label": "a"})
    assert isinstance(only[0], Problem) and only[0].line == 1 and "found []" in only[0].reason
    (alone,) = parsed(tmp_path, empty)
    assert isinstance(alone, Row) and alone.kind == "boxes"


def test_a_mask_and_a_box_may_stand_in_one_file_and_a_mask_may_have_a_box_of_its_own(tmp_path: Path) -> None:
    ring = [[0.3, 0.5, 0.4, 0.5, 0.4, 0.6]]
    rows = parsed(
        tmp_path,
        {"image_url": "1.jpg", "label": [CAN]},
        {"image_url": "2.jpg", "label": [{"label": "can", "polygon": ring}, CAN]},
        {"image_url": "3.jpg", "label": [CAN | {"polygon": ring}]},
    )
    assert [row.kind for row in rows if isinstance(row, Row)] == ["boxes", "polygons", "polygons"]
    write_rows(tmp_path / "again.jsonl", [row for row in rows if isinstance(row, Row)])
    assert read_rows(tmp_path / "again.jsonl") == rows


def test_file_name_and_hash_are_carried(tmp_path: Path) -> None:
    row = Row("../images/ab.jpg", classes=("a",), kind="class", format="jpg", file_name="a/1.jpg", sha256="0f" * 32)
    write_rows(tmp_path / "rows.jsonl", [row])
    assert json.loads((tmp_path / "rows.jsonl").read_bytes())["file_name"] == "a/1.jpg"
    assert read_rows(tmp_path / "rows.jsonl") == [row]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("azureml://subscriptions/S/resourcegroups/R/workspaces/W/datastores/D/paths/a b/1.jpg", ("D", "a b/1.jpg")),
        ("azureml://datastores/D/paths/datastores/E/paths/1.jpg", ("D", "datastores/E/paths/1.jpg")),
        ("AmlDatastore://D/a/1.jpg", ("D", "a/1.jpg")),
        ("a/1.jpg", None),
    ],
)
def test_addresses_in_datastores(url: str, expected: tuple[str, str] | None) -> None:
    assert datastore_path(url) == expected


def test_images_are_found_beside_the_file_by_address_and_through_the_resolver(tmp_path: Path) -> None:
    file = tmp_path / "set" / "rows.jsonl"
    assert resolve_image(Row("../a b,c.jpg"), file) == tmp_path / "set" / ".." / "a b,c.jpg"
    assert resolve_image(Row("file:///data/a%20b%23.jpg"), file) == Path("/data/a b#.jpg")
    assert resolve_image(Row("/data/1.jpg"), file) == Path("/data/1.jpg")
    stored = Row("AmlDatastore://D/a/1.jpg")
    assert resolve_image(stored, file, lambda store, path: tmp_path / store / path) == tmp_path / "D" / "a" / "1.jpg"
    with pytest.raises(DataError, match="cva datastore add D"):
        resolve_image(stored, file)
    with pytest.raises(DataError, match="https"):
        resolve_image(Row("https://x/1.jpg"), file)


def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}")
    with pytest.raises(DataError):
        read_rows(tmp_path / "bad.jsonl")
    assert gc.isenabled()


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(StorageError, match="found a folder"):
        read_rows(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    write_rows(file, EXPECTED[:1])
    before = file.read_bytes()
    with pytest.raises(TypeError):
        write_rows(file, [Row("\ud800.jpg", classes=("a",), kind="class")])
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["image_url", "label", "image_details", "polygon", "isCrowd", "topX", "topY", "bottomX"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=200)
    | st.lists(json_values, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())
)
def test_any_bytes_give_rows_or_problems_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    file.write_bytes(data)
    items = list(parse_rows(file))
    for item in items:
        assert str(item)
    if any(isinstance(item, Problem) for item in items):
        with pytest.raises(DataError):
            read_rows(file)
    else:
        rows = read_rows(file)
        write_rows(file, rows)
        assert read_rows(file) == rows


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_one_changed_byte_is_a_problem_or_another_valid_row(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    line = bytearray(GOLDEN.read_bytes().splitlines()[data.draw(st.integers(0, 3))])
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "flip.jsonl"
    file.write_bytes(line)
    assert all(isinstance(item, (Row, Problem)) for item in parse_rows(file))
