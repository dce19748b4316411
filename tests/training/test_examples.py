"""Images are decoded once, as the service decodes them; whatever cannot be used is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_training.data.jsonl import read_rows, write_rows
from model_training.data.rows import Box, Row
from model_training.errors import DataError, StorageError
from model_training.training import examples as module
from model_training.training.examples import load_examples
from scoring.images import letterbox_uint8, open_image

LABELS = ("blue", "red")
Squares = Callable[..., Path]


def test_pixels_are_those_of_the_service(squares: Path, tmp_path: Path) -> None:
    examples = load_examples(squares / "train" / "data.jsonl", LABELS, 64, tmp_path)
    expected, _ = letterbox_uint8(open_image(squares / "train" / "0.png"), (64, 64))
    assert np.array_equal(examples.pixels[0], expected)
    assert examples.inner[0].tolist() == [64, 48]
    assert (examples.truth[0].width, examples.truth[0].height) == (96, 72)
    row = read_rows(squares / "train" / "data.jsonl")[0]
    assert examples.boxes[0][0, 0] == pytest.approx(row.boxes[0].top_x * 64)
    assert examples.boxes[0][0, 3] == pytest.approx(row.boxes[0].bottom_y * 48)


def test_the_second_trial_reads_what_the_first_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_squares: Squares
) -> None:
    jsonl = make_squares(tmp_path / "data", 3)
    first = load_examples(jsonl, LABELS, 64, tmp_path / "cache")
    monkeypatch.setattr(module, "_decode", None)  # would fail if it were called
    again = load_examples(jsonl, LABELS, 64, tmp_path / "cache")
    assert np.array_equal(first.pixels[2], again.pixels[2])
    with pytest.raises(TypeError):
        load_examples(jsonl, LABELS, 96, tmp_path / "cache")


def test_a_changed_image_is_decoded_anew(tmp_path: Path, make_squares: Squares) -> None:
    jsonl = make_squares(tmp_path / "data", 2, seed=1)
    before = load_examples(jsonl, LABELS, 64, tmp_path / "cache").pixels[0].copy()
    make_squares(tmp_path / "data", 2, seed=9)
    assert not np.array_equal(load_examples(jsonl, LABELS, 64, tmp_path / "cache").pixels[0], before)


def test_a_data_set_larger_than_the_disk_is_decoded_at_each_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_squares: Squares
) -> None:
    jsonl = make_squares(tmp_path / "data", 3)
    kept = load_examples(jsonl, LABELS, 64, tmp_path / "one")
    monkeypatch.setattr(module, "DISK_SHARE", 0.0)
    anew = load_examples(jsonl, LABELS, 64, tmp_path / "two")
    assert not list((tmp_path / "two").glob("*/pixels.npy"))
    assert np.array_equal(kept.pixels[1], anew.pixels[1])
    assert np.array_equal(kept.inner, anew.inner)


def test_every_bad_image_is_named_and_nothing_is_left(tmp_path: Path, make_squares: Squares) -> None:
    jsonl = make_squares(tmp_path / "data", 4)
    whole = (tmp_path / "data" / "1.png").read_bytes()
    (tmp_path / "data" / "1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "data" / "3.png").unlink()
    with pytest.raises(DataError, match="2 of 4 images") as caught:
        load_examples(jsonl, LABELS, 64, tmp_path / "cache")
    assert "1.png" in caught.value.problems[0]
    assert "3.png" in caught.value.problems[1]
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_no_images_and_unknown_labels(tmp_path: Path, make_squares: Squares) -> None:
    empty = tmp_path / "empty.jsonl"
    write_rows(empty, [])
    with pytest.raises(DataError, match="no images"):
        load_examples(empty, LABELS, 64, tmp_path / "cache")
    with pytest.raises(DataError, match="red"):
        load_examples(make_squares(tmp_path / "data", 6), ("blue",), 64, tmp_path / "cache")


def test_crowds_and_specks_are_not_trained_but_stay_in_the_truth(tmp_path: Path, make_squares: Squares) -> None:
    jsonl = make_squares(tmp_path / "data", 1)
    boxes = (
        Box("red", 0.1, 0.1, 0.5, 0.5),
        Box("red", 0.5, 0.5, 0.9, 0.9, is_crowd=True),
        Box("blue", 0.2, 0.2, 0.205, 0.4),  # a third of a pixel wide
    )
    write_rows(jsonl, [Row("0.png", boxes)])
    examples = load_examples(jsonl, LABELS, 64, tmp_path / "cache")
    assert len(examples.boxes[0]) == 1
    assert len(examples.truth[0].boxes) == 3


def test_a_file_where_the_cache_should_be(squares: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(StorageError):
        load_examples(squares / "train" / "data.jsonl", LABELS, 64, tmp_path / "cache")
