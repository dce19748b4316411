"""A batch: one row an image in the order given, whatever failed or was killed in between."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFile

from scoring import detector
from scoring.batch.inputs import Item, expand, once
from scoring.batch.rows import Scorer
from scoring.batch.run import Result, run_batch
from scoring.detector import Detector
from scoring.errors import ConflictError, LockedError, UsageError
from scoring.images import ImageLimits

HEADER = {"model": "Caps:7", "manifest_sha256": "0" * 64, "score_threshold": None}


@pytest.fixture
def scorer(tiny_bundle: Callable[..., Path]) -> Scorer:
    return Scorer(Detector.load(tiny_bundle()), "Caps:7")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures; the fourth cannot be read and the sixth has nothing on it."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for number in range(12):
        path = folder / ("deep" if number % 2 else "") / f"{number:02}.png"
        Image.new("RGB", (20 + number, 30), (20 * number, 250 - 20 * number, 0)).save(path)
    (folder / "03.jpg").write_bytes(b"nothing")
    Image.new("RGB", (9, 9)).save(folder / "deep" / "empty.bmp")
    return folder


def batch(scorer: Scorer, given: list[object], out: Path, **options: Any) -> Result:
    return run_batch(scorer, lambda: once(expand(map(str, given), skip=out)), out, HEADER, **{"workers": 2, **options})


def rows(path: Path, *, times: bool = False) -> list[dict[str, Any]]:
    """Every line of a file; a torn one does not pass."""
    text = path.read_text(encoding="utf-8")
    assert text == "" or text.endswith("\n")
    found = [json.loads(line) for line in text.splitlines()]
    return found if times else [{key: value for key, value in row.items() if key != "ms"} for row in found]


def test_a_row_is_the_contracts(scorer: Scorer, tmp_path: Path) -> None:
    data = tmp_path / "images" / "0001.png"
    data.parent.mkdir()
    Image.new("RGB", (64, 48), (255, 0, 0)).save(data)
    run_batch(scorer, lambda: iter([Item("images/0001.png", str(data))]), tmp_path / "out", HEADER, workers=1)
    [row] = rows(tmp_path / "out" / "predictions.jsonl", times=True)
    assert list(row) == ["filename", "sha256", "width", "height", "model", "boxes", "error", "ms"]
    assert (row["filename"], row["model"], row["width"], row["height"]) == ("images/0001.png", "Caps:7", 64, 48)
    assert row["sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert row["error"] is None and [box["label"] for box in row["boxes"]] == ["red-cap"]
    assert list(row["boxes"][0]) == ["box", "label", "score"]
    assert list(row["ms"]) == ["decode", "infer"] and all(value >= 0 for value in row["ms"].values())


def test_one_row_for_each_file_and_those_that_failed_apart(scorer: Scorer, photos: Path, tmp_path: Path) -> None:
    done = batch(scorer, [photos], tmp_path / "out")
    good, bad = (rows(tmp_path / "out" / name) for name in ("predictions.jsonl", "errors.jsonl"))
    every = sorted(path for path in photos.rglob("*") if path.is_file())
    assert [row["filename"] for row in good] == [str(path) for path in every if path.name != "03.jpg"]
    assert [(row["filename"], row["error"]["code"]) for row in bad] == [(str(photos / "03.jpg"), "not_an_image")]
    assert bad[0] | {"error": 0, "filename": ""} == {
        "filename": "", "sha256": hashlib.sha256(b"nothing").hexdigest(), "width": None, "height": None,
        "model": "Caps:7", "boxes": [], "error": 0,
    }  # fmt: skip
    assert set(bad[0]["error"]) == {"code", "message"}
    assert (done.totals.images, done.totals.failed, done.totals.boxes) == (14, 1, sum(len(r["boxes"]) for r in good))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".batch.lock", "batch.json", "errors.jsonl", "predictions.csv", "predictions.jsonl",
    ]  # fmt: skip


def test_the_order_is_that_of_the_inputs_however_many_work(scorer: Scorer, photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (3000, 2000), "red").save(photos / "00-large.png")  # the first is the last to be ready
    batch(scorer, [photos], tmp_path / "one", workers=1)
    batch(scorer, [photos], tmp_path / "four", workers=4)
    assert rows(tmp_path / "one/predictions.jsonl") == rows(tmp_path / "four/predictions.jsonl")


def test_no_more_than_a_few_images_are_taken_ahead(scorer: Scorer, photos: Path, tmp_path: Path) -> None:
    taken, most = 0, 0

    def counted() -> Iterator[Item]:
        nonlocal taken
        for _ in range(40):
            taken += 1
            yield Item(f"{taken}.png", str(photos / "00.png"))

    def tell(totals: Any, seconds: float) -> None:
        nonlocal most
        most = max(most, taken - totals.images)

    run_batch(scorer, counted, tmp_path / "out", HEADER, workers=2, tell=tell)
    assert taken == 40 and most <= 8


def test_the_table_has_a_line_a_box_and_no_formulas(tiny_bundle: Callable[..., Path], tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0.png", 'a,b\n"c".png', "ordinary.png", "empty.png"]
    for name in names:
        Image.new("RGB", (8, 8), (0, 0, 0) if name == "empty.png" else (255, 200, 0)).save(tmp_path / "image.png")
        shutil.copy(tmp_path / "image.png", tmp_path / f"{names.index(name)}.png")
    scorer = Scorer(Detector.load(tiny_bundle()), "Caps:7")
    items = [Item(name, str(tmp_path / f"{number}.png")) for number, name in enumerate(names)]
    run_batch(scorer, lambda: iter(items), tmp_path / "out", HEADER, workers=1)
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["filename", "label", "score", "topX", "topY", "bottomX", "bottomY"]
    expected = [
        ["'" + row["filename"] if row["filename"].startswith("=") else row["filename"], box["label"],
         str(box["score"]), *(str(side) for side in box["box"].values())]
        for row in rows(tmp_path / "out" / "predictions.jsonl")
        for box in row["boxes"]
    ]  # fmt: skip
    assert lines == expected and len(lines) == 6
    assert [row["filename"] for row in rows(tmp_path / "out" / "predictions.jsonl")] == names


def test_without_a_table_none_stays_behind(scorer: Scorer, photos: Path, tmp_path: Path) -> None:
    batch(scorer, [photos], tmp_path / "out")
    done = batch(scorer, [photos], tmp_path / "out", overwrite=True, table=False)
    assert not (tmp_path / "out" / "predictions.csv").exists() and "csv" not in done.paths


def test_a_threshold_and_limits_take_effect(scorer: Scorer, photos: Path, tmp_path: Path) -> None:
    every = Scorer(scorer.detector, "Caps:7", 0.0, ImageLimits(max_pixels=800))
    batch(every, [photos], tmp_path / "out")
    good, bad = (rows(tmp_path / "out" / name) for name in ("predictions.jsonl", "errors.jsonl"))
    assert all(len(row["boxes"]) == 3 for row in good)
    assert {row["error"]["code"] for row in bad} == {"image_too_large", "not_an_image"}


def test_bytes_over_the_limit_are_not_read(scorer: Scorer, tmp_path: Path) -> None:
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(40 << 20)
    batch(scorer, [tmp_path / "huge.jpg"], tmp_path / "out")
    [row] = rows(tmp_path / "out" / "errors.jsonl")
    assert (row["error"]["code"], row["sha256"]) == ("image_too_large", None)


@pytest.mark.skipif(os.name == "nt", reason="POSIX names and pipes")
@pytest.mark.parametrize(("owner", "name"), [(ImageFile.ImageFile, "load_prepare"), (detector, "preprocess_into")])
def test_an_image_for_which_memory_does_not_suffice_is_an_error_row(
    scorer: Scorer, photos: Path, tmp_path: Path, owner: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them, decoded or made smaller; the others are scored."""
    Image.new("RGB", (77, 33)).save(photos / "0.png")
    work = getattr(owner, name)

    def fail_on_that(image: Any, *args: Any) -> Any:
        if image.size == (77, 33):
            raise MemoryError
        return work(image, *args)

    monkeypatch.setattr(owner, name, fail_on_that)
    result = batch(scorer, [photos], tmp_path / "out")
    [bad] = [row for row in rows(tmp_path / "out" / "errors.jsonl") if row["filename"].endswith("0.png")]
    assert bad["error"]["code"] == "image_too_large"
    assert "enough memory" in bad["error"]["message"]
    assert result.totals.images - result.totals.failed > 1


def test_what_is_no_file_is_an_error_row_and_never_waits(scorer: Scorer, photos: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    odd = os.fsdecode(b"\xff\xfe odd.png")
    shutil.copy(photos / "00.png", tmp_path / odd)
    given = [tmp_path / "pipe.jpg", tmp_path / "none.jpg", tmp_path / odd, "nul\0.png"]
    items = [Item(str(each), str(each)) for each in given]
    for _ in range(2):  # the second time they are what they were
        run_batch(scorer, lambda: iter(items), tmp_path / "out", HEADER, workers=1)
    codes = [row["error"]["code"] for row in rows(tmp_path / "out" / "errors.jsonl")]
    assert codes == ["unreadable", "not_found", "not_found"]
    assert rows(tmp_path / "out" / "predictions.jsonl")[0]["filename"] == str(tmp_path / odd)


def test_a_file_named_twice_is_scored_once_at_its_first_place(
    scorer: Scorer, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    os.link("00.png", "link.png")
    batch(scorer, ["04.png", photos, "deep/../00.png", "*.png"], tmp_path / "out")
    names = [row["filename"] for row in rows(tmp_path / "out" / "predictions.jsonl")]
    assert names[0] == "04.png" and str(photos / "04.png") not in names
    assert len(names) == 14 and str(photos / "link.png") in names


def test_the_output_folder_is_not_an_input(scorer: Scorer, photos: Path) -> None:
    out = photos / "out"
    out.mkdir()
    shutil.copy(photos / "00.png", out / "picture.png")
    assert batch(scorer, [photos], out).totals.images == 14
    assert not any("picture" in item.name for item in expand([f"{photos}/**/*.png"], skip=out))


def test_nothing_to_score_is_said(scorer: Scorer, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="found none"):
        batch(scorer, [tmp_path / "none"], tmp_path / "out")


def test_a_finished_batch_is_left_alone(scorer: Scorer, photos: Path, tmp_path: Path) -> None:
    first = batch(scorer, [photos], tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    again = batch(scorer, [photos], tmp_path / "out")
    assert again.done_before and not first.done_before
    assert (again.totals.images, again.totals.failed, again.totals.resumed) == (14, 1, 14)
    assert again.totals.boxes == first.totals.boxes
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    assert not batch(scorer, [photos], tmp_path / "out", overwrite=True).done_before


def test_a_finished_batch_of_something_else_is_not_replaced_unasked(
    scorer: Scorer, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    batch(scorer, [photos], out)
    kept = (out / "predictions.jsonl").read_bytes()
    with pytest.raises(ConflictError, match="another model"):
        run_batch(scorer, lambda: expand([str(photos)]), out, {**HEADER, "model": "Caps:8"}, workers=1)
    with pytest.raises(ConflictError, match="other inputs"):
        batch(scorer, [photos / "deep"], out)
    os.utime(photos / "00.png", (1, 1))
    with pytest.raises(ConflictError, match="other inputs"):
        batch(scorer, [photos], out)
    assert (out / "predictions.jsonl").read_bytes() == kept
    assert batch(scorer, [photos / "deep"], out, overwrite=True).totals.images == 7


def test_files_that_are_not_ours_are_not_replaced_unasked(scorer: Scorer, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text("mine")
    with pytest.raises(ConflictError, match=r"predictions\.jsonl already"):
        batch(scorer, [photos], tmp_path)
    assert (tmp_path / "predictions.jsonl").read_text() == "mine"


def test_one_batch_a_folder(scorer: Scorer, photos: Path, tmp_path: Path) -> None:
    def tell(totals: Any, seconds: float) -> None:
        with pytest.raises(LockedError):
            batch(scorer, [photos], tmp_path / "out")

    batch(scorer, [photos / "00.png"], tmp_path / "out", tell=tell)
