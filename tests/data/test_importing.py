"""No row is dropped or changed in silence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_training.data.importing import Repair, add_pictures, require_usable, take_rows, task_of
from model_training.data.problems import Problem
from model_training.data.rows import Box, Row
from model_training.data.scanning import Picture
from scoring.errors import DataError

GOOD = Box("can", 0.1, 0.1, 0.5, 0.5)
OUT = Box("can", -0.002, 0.2, 0.4, 1.001)  # a hair outside
EMPTY = Box("can", 0.3, 0.3, 0.3, 0.3)
PICTURE = Picture("ab" * 32, "0" * 64, 100, 50, "jpg")


def locate(row: Row) -> Path:
    return Path("/data") / row.image_url


def bad(*boxes: Box, name: str = "a.jpg") -> Problem:
    return Problem("a.xml", 7, "object 1: no extent", Row(name, boxes=boxes, file_name=name))


@pytest.mark.parametrize("repair", [Repair(), Repair(skip_bad_rows=True)])
def test_a_bad_box_makes_its_row_bad(repair: Repair) -> None:
    taken = take_rows([bad(GOOD, EMPTY)], locate, repair)
    assert taken.rows == []
    assert taken.problems == ["a.xml:7: object 1: no extent"]


def test_skipping_bad_boxes_keeps_the_image_and_says_so() -> None:
    taken = take_rows([bad(GOOD, EMPTY)], locate, Repair(skip_bad_boxes=True))
    assert [row.boxes for row, _ in taken.rows] == [(GOOD,)]
    assert (len(taken.changed), taken.problems) == (1, [])
    assert "object 2 (can) left out: no extent" in taken.changed[0]


def test_clipping_cuts_what_reaches_out_and_leaves_no_extent_a_fault() -> None:
    taken = take_rows([bad(OUT), bad(EMPTY, name="b.jpg")], locate, Repair(clip_boxes=True))
    assert [row.boxes for row, _ in taken.rows] == [(replace(OUT, top_x=0.0, bottom_y=1.0),)]
    assert "cut at the image's edge" in taken.changed[0]
    assert taken.problems == [
        "a.xml:7: object 1 (can): no extent: expected left < right, found 0.3 and 0.3; "
        "no extent: expected top < bottom, found 0.3 and 0.3"
    ]


def test_both_repairs_clip_first() -> None:
    taken = take_rows([bad(OUT, EMPTY)], locate, Repair(skip_bad_boxes=True, clip_boxes=True))
    assert [len(row.boxes) for row, _ in taken.rows] == [1]
    assert len(taken.changed) == 2


def test_several_problems_of_one_row_are_repaired_once() -> None:
    first = bad(OUT, EMPTY)
    taken = take_rows([first, replace(first, reason="another")], locate, Repair(True, True, True))
    assert len(taken.rows) == 1


def test_no_good_row_is_lost_between_repaired_ones() -> None:
    def stream() -> Iterator[Row | Problem]:  # rows are let go as soon as they are read: identities come again
        for number in range(300):
            yield bad(GOOD, EMPTY, name=f"bad{number}.jpg")
            for n in range(3):
                yield Row(f"good{number}-{n}.jpg", boxes=(GOOD,))

    taken = take_rows(stream(), locate, Repair(skip_bad_boxes=True))
    assert len(taken.rows) == 1200


def test_rows_that_were_never_checked_are_checked_here() -> None:
    taken = take_rows([Row("a.jpg", boxes=(EMPTY,)), Row("b.jpg", classes=(" ",), kind="class")], locate, Repair())
    assert len(taken.problems) == 2
    assert taken.rows == []


def test_one_name_twice_is_a_problem() -> None:
    taken = take_rows([Row("a.jpg", boxes=(GOOD,)), Row("a.jpg")], locate, Repair())
    assert len(taken.rows) == 1
    assert "listed before" in taken.problems[0]


def test_a_wrong_size_hash_or_image_is_a_problem() -> None:
    rows = [
        Row("a.jpg", width=50, height=100),
        Row("b.jpg", width=7, height=7),
        Row("c.jpg", sha256="cd" * 32),
        Row("d.jpg"),
        Row("e.jpg", width=100, height=50),
    ]
    taken = take_rows(rows, locate, Repair())
    found = {path: PICTURE for _, path in taken.rows}
    result = add_pictures(taken, {**found, locate(Row("d.jpg")): "it is cut off"})
    for problem, words in zip(result.problems, ("upright", "7 x 7", "changed or replaced", "cut off"), strict=True):
        assert words in problem
    ((row, _),) = result.rows
    assert (row.file_name, row.sha256, row.width, row.format) == ("e.jpg", PICTURE.sha256, 100, "jpg")


def test_all_problems_are_in_the_error() -> None:
    taken = take_rows([bad(EMPTY), bad(EMPTY, name="b.jpg"), Row("c.jpg")], locate, Repair())
    with pytest.raises(DataError) as caught:
        require_usable(taken, Repair(), "caps")
    assert len(caught.value.problems) == 2
    assert "2 problems (and 1 good rows)" in caught.value.message
    require_usable(taken, Repair(skip_bad_rows=True), "caps")


def test_nothing_left_is_an_error_even_when_rows_may_be_skipped() -> None:
    with pytest.raises(DataError, match="found none"):
        require_usable(take_rows([bad(EMPTY)], locate, Repair()), Repair(skip_bad_rows=True), "caps")


def test_the_task_is_told_by_the_labels() -> None:
    assert task_of([Row("a"), Row("b", kind="polygons")]) == "image_instance_segmentation"
    assert task_of([Row("a", kind="classes")]) == "image_classification_multilabel"
    with pytest.raises(DataError, match="one kind"):
        task_of([Row("a", kind="class"), Row("b")])


def test_the_photographs_come_in_whole_as_a_person_imports_them(bccd: Path, tmp_path: Path) -> None:
    """Once one good image was lost here, and only in a process of its own: memory has to lie as it does there."""
    command = [sys.executable, "-m", "model_training", "--json", "--workspace", str(tmp_path / "ws"), "data", "import"]
    command += [str(bccd), "--format", "voc", "--name", "bccd", "--skip-bad-boxes"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = json.loads(done.stdout)
    assert imported["split"]["counts"] == {"train": 205, "validation": 87, "test": 72}
    assert len(imported["changed"]) == 2
