"""The table of formats: one way in, absolute addresses out, and a hint when data is of another format."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from model_training.data.export import export
from model_training.data.formats import FORMATS, looks_like, read_format
from model_training.data.problems import Problem, rows_or_raise
from model_training.data.rows import Box, Row
from scoring.errors import DataError, NotFoundError, UsageError

BOXES = ["voc", "coco", "yolo", "csv", "jsonl", "label-studio"]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (40, 20)).save(tmp_path / "1.jpg")
    return tmp_path / "1.jpg"


@pytest.fixture
def row(image: Path) -> Row:
    return Row(str(image), (Box("can", 0.25, 0.25, 0.75, 0.75),), width=40, height=20, file_name="1.jpg")


@pytest.mark.parametrize("format", BOXES)
@pytest.mark.parametrize("said", BOXES)
def test_data_of_another_format_says_which(format: str, said: str, row: Row, tmp_path: Path) -> None:
    made = export([row], format, tmp_path / "out", name="set").folder
    assert looks_like(made) == format
    source = read_format(said, made)
    if said == format:
        (item,) = source.rows
        assert isinstance(item, Row) and Path(item.image_url).is_absolute() and Path(item.image_url).is_file()
        return
    with pytest.raises((DataError, NotFoundError)) as caught:
        rows_or_raise(source.rows, "set")
    assert f"this looks like {format}; say --format {format}" in str(caught.value)


def test_a_folder_of_anything_is_no_data(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    assert looks_like(tmp_path) is None
    for format in FORMATS:
        with pytest.raises(DataError, match="expected"):
            list(read_format(format, tmp_path).rows)


def test_wrong_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="formats: voc, coco, yolo, csv, jsonl, label-studio, folder"):
        read_format("pascal", tmp_path)
    with pytest.raises(NotFoundError, match="nothing at"):
        read_format("voc", tmp_path / "none")


def test_addresses_are_absolute_from_a_relative_path(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = export([row], "jsonl", tmp_path / "out", name="set").folder
    monkeypatch.chdir(made.parent)
    (item,) = read_format("jsonl", Path(made.name)).rows
    assert isinstance(item, Row) and item.image_url == str(made / "images" / "1.jpg")


def test_all_in_train_is_no_split(row: Row, tmp_path: Path) -> None:
    for format in BOXES:
        source = read_format(format, export([row], format, tmp_path, {"1.jpg": "train"}, name=format).folder)
        assert len(list(source.rows)) == 1
        assert source.parts == {}


def test_rows_of_datastores_keep_their_address_and_equal_names_stay_apart(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "MLTable").write_text(f"paths: [{{file: {part}.jsonl}}]\ntransformations: [read_json_lines]")
    (tmp_path / "train" / "train.jsonl").write_text(
        '{"image_url":"AmlDatastore://D/a/1.jpg","label":"x"}\n{"image_url":"1.jpg","label":"x"}\n'
    )
    (tmp_path / "test" / "test.jsonl").write_text(
        '{"image_url":"1.jpg","label":"x"}\n{"image_url":"../train/1.jpg","label":"y"}'
    )
    source = read_format("jsonl", tmp_path)
    items = list(source.rows)
    rows = [item for item in items if isinstance(item, Row)]
    assert [(row.image_url, row.file_name) for row in rows] == [
        (str(tmp_path / "test" / "1.jpg"), "1.jpg"),
        (str(tmp_path / "train" / "1.jpg"), "train/1.jpg"),
        ("AmlDatastore://D/a/1.jpg", "a/1.jpg"),
    ]
    (again,) = [item for item in items if isinstance(item, Problem)]
    assert again.file.endswith("train.jsonl") and "has a row already" in again.reason
    assert source.parts == {"1.jpg": "test", "train/1.jpg": "test", "a/1.jpg": "train"}


def test_a_repairable_row_has_the_address_of_its_image(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"image_url":"1.jpg","label":[{"label":"x","topX":0.1,"topY":0.1,"bottomX":1.1,"bottomY":0.2},'
        '{"label":"x","topX":-1,"topY":0.1,"bottomX":1,"bottomY":0.2}]}'
    )
    problem, second = read_format("jsonl", tmp_path / "a.jsonl").rows
    assert isinstance(problem, Problem) and problem.row is not None
    assert isinstance(second, Problem) and second.row is problem.row
    assert problem.row.image_url == str(tmp_path / "1.jpg")
