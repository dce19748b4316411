"""`cva score` as it is typed: files, folders and patterns in; one JSON array last on stdout; pictures beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_training.cli.main import main
from tests.scoring.edge.conftest import Shelf


@pytest.fixture
def shelf(tmp_path: Path, tiny_bundle: Callable[..., Path]) -> Shelf:
    """The workspace that CVA_WORKSPACE names in every test."""
    shelf = Shelf(tmp_path / "workspace", tiny_bundle)
    shelf.put(1, champion=1)
    shelf.put(2, champion=1, postprocess={"kind": "cva", "iou": 0.5, "score_threshold": 0.9, "max_boxes": 3})
    return shelf


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    Image.new("RGB", (64, 48), (255, 0, 0)).save(folder / "red.png")
    Image.new("RGB", (64, 48), (0, 0, 255)).save(folder / "deep" / "blue.jpg", quality=100)
    (folder / "notes.txt").write_text("no image")
    return folder


def score(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    code = main(["score", *map(str, arguments)])
    printed = capsys.readouterr()
    *words, last = printed.out.splitlines()
    return code, json.loads(last), "\n".join(words)


def test_a_folder_is_scored_in_order(shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer, words = score(capsys, photos, "--model", "Caps")
    assert code == 0
    assert [element["filename"] for element in answer] == [str(photos / "deep/blue.jpg"), str(photos / "red.png")]
    assert [[box["label"] for box in element["boxes"]] for element in answer] == [["blue cap"], ["red-cap"]]
    assert set(answer[0]["boxes"][0]) == {"box", "label", "score"}
    assert "Caps:1: 2 images" in words and "blue cap 0.86" in words


@pytest.mark.parametrize(
    ("reference", "title"),
    [("Caps", "Caps:1"), ("Caps:2", "Caps:2"), ("Caps@latest", "Caps:2"), ("Caps@champion", "Caps:1")],
)
def test_the_version_is_the_one_asked_for(
    shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str], reference: str, title: str
) -> None:
    assert f"{title}:" in score(capsys, photos / "red.png", "--model", reference)[2]


def test_a_bad_image_keeps_its_place_and_the_exit_code_is_1(
    shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (photos / "bad.png").write_bytes(b"nothing")
    order = [photos / "red.png", photos / "bad.png", tmp_path / "none.jpg", photos / "deep" / "blue.jpg"]
    code, answer, _ = score(capsys, *order, "--model", "Caps", "--out", tmp_path / "out")
    assert code == 1
    assert [element.get("error", {}).get("code") for element in answer] == [None, "not_an_image", "not_found", None]
    assert [len(element["boxes"]) for element in answer] == [1, 0, 0, 1]
    assert json.loads((tmp_path / "out/predictions.json").read_text()) == answer
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "blue.boxes.jpg",
        "predictions.json",
        "red.boxes.png",
    ]


def test_the_originals_are_kept_and_the_output_folder_is_not_scored(
    shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    for _ in range(2):
        _, answer, _ = score(capsys, photos, "--model", "Caps", "--out", photos / "out")
        assert len(answer) == 2
    assert {path: path.read_bytes() for path in before} == before


def test_patterns_and_thresholds(shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, answer, _ = score(capsys, f"{photos}/**/*.jpg", "--model", "Caps", "--threshold", "0")
    assert [len(element["boxes"]) for element in answer] == [3]


def test_a_file_whose_name_looks_like_a_pattern(shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(photos / "red.png", photos / "red[1].png")
    assert score(capsys, photos / "red[1].png", "--model", "Caps")[0] == 0


def test_a_pulled_folder_is_a_bundle(shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(capsys, photos / "red.png", "--bundle", shelf.models / "Caps/1")[0] == 0


def test_json_only(shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "score", str(photos), "--model", "Caps"]) == 0
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)) == 2
    assert "red-cap" in printed.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["photos/*.gif", "--model", "Caps"], 2, "found none"),
        (["photos", "--model", "Cups"], 1, "models: Caps"),
        (["photos", "--model", "Caps:7"], 1, "versions: 1, 2"),
        (["photos", "--model", "Caps:x"], 2, "whole number"),
        (["photos", "--bundle", "photos"], 1, "not a bundle"),
        (["photos", "--model", "Caps", "--out", "photos/red.png"], 2, "found a file"),
        (["photos", "--model", "Caps", "--provider", "gpu"], 2, "expected a provider of cpu, cuda"),
        (["photos", "--model", "Caps", "--provider", "openvino"], 6, "no provider openvino"),
    ],
)
def test_what_cannot_be_done_is_said(
    shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert main(["score", *arguments]) == code
    printed = capsys.readouterr()
    assert words in printed.err and "Traceback" not in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("option", [["--threshold", "2"], ["--threads", "0"], ["--model", "x", "--bundle", "y"], []])
def test_arguments_that_make_no_sense(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["score", "x.jpg", *option])
    assert caught.value.code == 2


def test_a_changed_registered_model_is_not_used(shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shelf.models / "Caps/1/manifest.json"
    path.write_text(path.read_text().replace("channel means", "channel moans"))
    assert main(["score", str(photos), "--model", "Caps"]) == 4
    assert "expected a manifest with sha256" in capsys.readouterr().err


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["score", "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert all(
        option in printed for option in ("--model", "--bundle", "--threshold", "--out", "--threads", "--provider")
    )
