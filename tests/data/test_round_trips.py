"""What goes out of a format comes in again: each law with its tolerance, over unusual names, labels and boxes."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from model_training.data.export import export
from model_training.data.formats import FORMATS, ImportSource, looks_like, read_format
from model_training.data.jsonl import read_rows, write_rows
from model_training.data.rows import Box, Row

NOW = datetime(2026, 5, 1, 10, 0, 0)
FEW = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])

# blanks, commas, quotes, percent signs, signs that YAML, XML, URLs and CSV read as their own, other alphabets
NAME_MARKS = "ab1 ,;'&%+#=@()[]{}~!$_-.éßЖ漢🍾"
LABEL_MARKS = NAME_MARKS + '"<>/\\:*?|\t'
pieces = st.text(NAME_MARKS, min_size=1, max_size=8).filter(lambda text: text.strip(" .") == text)
file_names = st.lists(pieces, min_size=1, max_size=3).map(lambda found: "/".join(found) + ".png")
labels = st.text(LABEL_MARKS, min_size=1, max_size=8).filter(str.strip) | st.sampled_from(
    ["no", "1", "null", "a,b", "~"]
)
sizes = st.tuples(st.integers(8, 2000), st.integers(8, 2000))
fractions = st.floats(0, 1, allow_subnormal=False)


def spans(step: float, minimum: float) -> st.SearchStrategy[tuple[float, float]]:
    """Two ends in [0, 1] on a grid of `step`, at least `minimum` apart."""
    count = round(1 / step)
    least = max(1, round(minimum / step))
    starts = st.integers(0, count - least)
    return starts.flatmap(lambda low: st.integers(low + least, count).map(lambda high: (low / count, high / count)))


@st.composite
def pixel_boxes(draw: st.DrawFn, width: int, height: int, *, polygons: bool = False, crowds: bool = False) -> Box:
    """Boxes as drawn on pixels, with two decimals: what pixel formats can say."""
    left, right = draw(spans(1 / (width * 100), 1 / width))
    top, bottom = draw(spans(1 / (height * 100), 1 / height))
    left, right = round(left * width, 2) / width, round(right * width, 2) / width
    top, bottom = round(top * height, 2) / height, round(bottom * height, 2) / height
    rings: tuple[tuple[float, ...], ...] = ()
    if polygons and draw(st.booleans()):
        rings = ((left, top, right, top, right, bottom),)
    return Box(draw(labels), left, top, right, bottom, crowds and draw(st.booleans()), rings)


@st.composite
def box_rows(draw: st.DrawFn, *, polygons: bool = False, crowds: bool = False) -> list[Row]:
    """A few images with nothing, or with boxes, on them; each its own size."""
    rows = []
    for name in draw(st.lists(file_names, min_size=1, max_size=3, unique_by=lambda name: name[:-4].casefold())):
        width, height = draw(sizes)
        boxes = draw(st.lists(pixel_boxes(width, height, polygons=polygons, crowds=crowds), max_size=3))
        kind = "polygons" if any(box.polygon for box in boxes) else "boxes"
        rows.append(Row("", tuple(boxes), kind=kind, width=width, height=height, format="png", file_name=name))
    return rows


@contextmanager
def exported(
    rows: list[Row], format: str, parts: dict[str, str] | None = None
) -> Iterator[tuple[ImportSource, list[Row]]]:
    """`rows` written as `format` with real images, and read again; any problem fails the test."""
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "image.png"
        image.write_bytes(PNG)
        done = export(rows, format, Path(scratch) / "out", parts, name="set", locate=lambda _: image, now=NOW)
        assert done.folder.name == "set_20260501_100000"
        assert looks_like(done.folder) in (format, None)
        source = read_format(format, done.folder)
        found = list(source.rows)
        assert all(isinstance(row, Row) for row in found), [str(item) for item in found]
        assert all(Path(row.image_url).read_bytes() == PNG for row in found if isinstance(row, Row))
        yield source, [row for row in found if isinstance(row, Row)]


def _png() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return data.getvalue()


PNG = _png()


def plain(rows: list[Row]) -> list[Row]:
    """Rows without their address, by name: what must come back."""
    return sorted((replace(row, image_url="") for row in rows), key=lambda row: row.file_name)


def assert_close(found: list[Row], rows: list[Row], across: float, down: float) -> None:
    """Names and labels equal, edges within `across` and `down`, in fractions."""
    for one, other in zip(plain(found), plain(rows), strict=True):
        assert (one.file_name, one.labels) == (other.file_name, other.labels)
        for box, source in zip(one.boxes, other.boxes, strict=True):
            assert abs(box.top_x - source.top_x) <= across and abs(box.bottom_x - source.bottom_x) <= across
            assert abs(box.top_y - source.top_y) <= down and abs(box.bottom_y - source.bottom_y) <= down


@FEW
@given(box_rows(polygons=True, crowds=True))
def test_coco_keeps_every_pixel_coordinate_mask_and_crowd_flag_exactly(rows: list[Row]) -> None:
    with exported(rows, "coco") as (_, found):
        assert plain(found) == plain(rows)


@FEW
@given(box_rows(polygons=True, crowds=True))
def test_jsonl_keeps_every_row_exactly(rows: list[Row]) -> None:
    with exported(rows, "jsonl") as (_, found):
        assert plain(found) == plain(rows)


@FEW
@given(st.lists(st.tuples(labels, fractions, fractions, fractions, fractions), max_size=5), fractions)
def test_jsonl_keeps_every_float_exactly(edges: list[tuple[str, float, float, float, float]], extra: float) -> None:
    boxes = [Box(label, min(a, c), min(b, d), max(a, c), max(b, d)) for label, a, b, c, d in edges if a != c and b != d]
    ring = (0.0, extra, 0.5, 0.25, 1.0, extra)
    masked = [Box("mask", 0.0, min(extra, 0.25), 1.0, max(extra, 0.25), True, (ring, ring))] if extra != 0.25 else []
    kind = "polygons" if masked else "boxes"
    row = Row("a b/ö.jpg", (*boxes, *masked), kind=kind, format="jpg", file_name="a b/ö.jpg", sha256="0f" * 32)
    with tempfile.TemporaryDirectory() as scratch:
        write_rows(Path(scratch) / "rows.jsonl", [row])
        assert read_rows(Path(scratch) / "rows.jsonl") == [row]


@FEW
@given(box_rows(crowds=True))
def test_csv_keeps_every_box_exactly(rows: list[Row]) -> None:
    with exported(rows, "csv") as (_, found):
        assert plain(found) == plain(rows)


@FEW
@given(box_rows(polygons=True))
def test_yolo_keeps_boxes_within_a_millionth(rows: list[Row]) -> None:
    with exported(rows, "yolo") as (_, found):
        assert_close(found, rows, 1e-6, 1e-6)
        assert [[bool(box.polygon) for box in row.boxes] for row in plain(found)] == [
            [bool(box.polygon) for box in row.boxes] for row in plain(rows)
        ]


@FEW
@given(box_rows())
def test_voc_keeps_boxes_within_half_a_pixel_of_each_image(rows: list[Row]) -> None:
    with exported(rows, "voc") as (_, found):
        for one, other in zip(plain(found), plain(rows), strict=True):
            assert (one.width, one.height) == (other.width, other.height)
            assert_close([one], [other], 0.5000001 / (other.width or 1), 0.5000001 / (other.height or 1))


@FEW
@given(box_rows(polygons=True))
def test_label_studio_keeps_boxes_within_a_billionth(rows: list[Row]) -> None:
    with exported(rows, "label-studio") as (_, found):
        assert_close(found, rows, 1e-9, 1e-9)


@FEW
@given(box_rows(), st.data(), st.sampled_from(["voc", "coco", "yolo", "csv", "jsonl", "label-studio"]))
def test_parts_come_back_as_they_went_out(rows: list[Row], data: st.DataObject, format: str) -> None:
    parts = {row.file_name: data.draw(st.sampled_from(["validation", "test"])) for row in rows}
    parts[rows[0].file_name] = "validation"
    with exported(rows, format, parts) as (source, found):
        assert [row.file_name for row in plain(found)] == sorted(parts)
        assert source.parts == parts


@pytest.mark.parametrize("format", ["csv", "jsonl", "label-studio", "folder"])
def test_classes_come_back(format: str) -> None:
    names = ["a b,c", "é", "no"]
    rows = [
        Row("", classes=(name,), kind="class", format="png", file_name=f"{name}/{at}.png")
        for at, name in enumerate(names)
    ]
    with exported(rows, format, {row.file_name: "test" for row in rows}) as (source, found):
        assert [(row.file_name, row.classes, row.kind) for row in plain(found)] == [
            (row.file_name, row.classes, "class") for row in plain(rows)
        ]
        assert set(source.parts.values()) == {"test"}


@pytest.mark.parametrize("format", ["csv", "jsonl", "label-studio"])
def test_sets_of_classes_come_back_the_empty_one_too(format: str) -> None:
    sets = [(), ("a, b", "c"), ("d",)]
    rows = [
        Row("", classes=names, kind="classes", format="png", file_name=f"{at}.png") for at, names in enumerate(sets)
    ]
    with exported(rows, format) as (_, found):
        assert [(row.classes, row.kind) for row in plain(found)] == [(names, "classes") for names in sets]


def test_every_format_of_the_table_is_held_to_a_law() -> None:
    assert set(FORMATS) == {"voc", "coco", "yolo", "csv", "jsonl", "label-studio", "folder"}
