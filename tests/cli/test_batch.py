"""`cva batch` as it is typed: what is scored, what is written, what is said last, and the exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_training.cli.main import main
from scoring.edge.signing import Release
from scoring.files import sha256_of
from scoring.session import open_session
from tests.scoring.conftest import make_bundle
from tests.scoring.edge.conftest import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """The workspace that CVA_WORKSPACE names in every test, with two versions of a model."""
    shelf = Shelf(tmp_path / "workspace", lambda name, **options: make_bundle(tmp_path / name, **options))
    shelf.put(1, champion=1)
    shelf.put(2, champion=1, postprocess={"kind": "cva", "iou": 0.5, "score_threshold": 0.9, "max_boxes": 3})
    return shelf


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures, and the rows of two of them and of one that is gone."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, colour in enumerate([(255, 0, 0), (0, 0, 255), (0, 255, 0)]):
        Image.new("RGB", (64, 48), colour).save(folder / f"{number}.png")
    rows = [{"image_url": f"{name}.png"} for name in ("2", "gone", "1")]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def batch(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any], str, str]:
    """Exit code, summary, what was said before it, and stderr."""
    code = main(["batch", *map(str, arguments)])
    printed = capsys.readouterr()
    *words, last = printed.out.splitlines()
    return code, json.loads(last), "\n".join(words), printed.err


def names(out: Path) -> list[str]:
    return [json.loads(line)["filename"] for line in (out / "predictions.jsonl").read_text().splitlines()]


def test_a_folder(shelf: Shelf, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, summary, words, _ = batch(capsys, "photos", "--model", "Caps", "--out", "out")
    assert code == 0 and names(tmp_path / "out") == ["photos/0.png", "photos/1.png", "photos/2.png"]
    assert "Caps:1: 3 images" in words and "3 of 3 images, 0 failed" in words
    assert summary.pop("seconds") >= 0 and summary.pop("images_per_second") > 0
    assert summary == {
        "model": "Caps", "version": 1, "images": 3, "failed": 0, "boxes": 3, "resumed": 0,
        "paths": {
            "predictions": "out/predictions.jsonl", "errors": "out/errors.jsonl",
            "csv": "out/predictions.csv", "batch": "out/batch.json",
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "model"),
    [("Caps", "Caps:1"), ("Caps:2", "Caps:2"), ("Caps@latest", "Caps:2"), ("Caps@champion", "Caps:1")],
)
def test_rows_say_which_version_made_them(
    shelf: Shelf, photos: Path, tmp_path: Path, reference: str, model: str
) -> None:
    assert main(["batch", "photos/0.png", "--model", reference, "--out", "out"]) == 0
    assert json.loads((tmp_path / "out" / "predictions.jsonl").read_text())["model"] == model


def test_a_bundle_says_its_version_where_a_registry_gave_it_one(
    shelf: Shelf, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = shelf.models / "Caps" / "1"
    assert batch(capsys, "photos/0.png", "--bundle", bundle, "--out", "a")[1]["version"] is None
    release = Release("Caps", 1, sha256_of(bundle / "manifest.json"), "2026-05-01T10:00:00Z")
    (bundle / "release.json").write_bytes(release.to_bytes())
    assert batch(capsys, "photos/0.png", "--bundle", bundle, "--out", "b")[1]["version"] == 1
    (bundle / "release.json").write_bytes(replace(release, manifest_sha256="0" * 64).to_bytes())
    assert main(["batch", "photos/0.png", "--bundle", str(bundle), "--out", "c"]) == 4


@pytest.mark.parametrize("form", ["rows.jsonl", "a folder with MLTable", "MLTable"])
def test_rows_of_jsonl_are_relative_to_their_file(shelf: Shelf, photos: Path, tmp_path: Path, form: str) -> None:
    given = photos / form
    if "MLTable" in form:
        from model_training.data.mltable import write_mltable

        write_mltable(photos, "rows.jsonl")
        given = photos if "folder" in form else photos / "MLTable"
    assert main(["batch", str(given), "--model", "Caps", "--out", "out"]) == 1
    assert names(tmp_path / "out") == [str(photos / "2.png"), str(photos / "1.png")]
    [failed] = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    assert json.loads(failed)["error"]["code"] == "not_found"


def test_rows_that_name_no_image_are_all_said_before_anything_is_scored(
    shelf: Shelf, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ['{"image_url": "1.png"}', "no json", '{"label": []}', '{"image_url": "https://example.org/1.png"}', ""]
    (photos / "rows.jsonl").write_text("\n".join(lines))
    assert main(["batch", "photos/rows.jsonl", "--model", "Caps", "--out", "out"]) == 1
    said = capsys.readouterr().err
    assert all(f"line {number}: " in said for number in (2, 3, 4)) and "line 1" not in said
    assert not (tmp_path / "out").exists()


def test_images_in_a_datastore(shelf: Shelf, photos: Path, tmp_path: Path) -> None:
    assert main(["datastore", "add", "store", str(photos)]) == 0
    (tmp_path / "rows.jsonl").write_text('{"image_url": "AmlDatastore://store/1.png", "file_name": "blue.png"}\n')
    assert main(["batch", "rows.jsonl", "--model", "Caps", "--out", "out"]) == 0
    assert names(tmp_path / "out") == ["blue.png"]


def test_a_dataset_by_name(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "sample", "--to", "sample", "--images", "12"]) == 0
    assert main(["data", "import", "sample", "--name", "bottles"]) == 0
    capsys.readouterr()
    code, summary, _, _ = batch(capsys, "--dataset", "bottles:1", "--model", "Caps", "--out", "out")
    assert (code, summary["images"]) == (0, 12)
    assert set(names(tmp_path / "out")) == {f"images/{number:04}.jpg" for number in range(12)}
    part = batch(capsys, "--dataset", "bottles-test", "--model", "Caps", "--out", "test")[1]
    assert 0 < part["images"] < 12
    assert main(["batch", "--dataset", "tins", "--model", "Caps", "--out", "none"]) == 1
    assert "there are: bottles" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("allowed", "code"),
    [("0", 1), ("1", 1), ("2", 0), ("49%", 1), ("50%", 0), ("100%", 0)],
)
def test_how_many_may_fail(
    shelf: Shelf, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], allowed: str, code: int
) -> None:
    """Two of four fail. The results are written all the same, and asking again gives the same answer."""
    line = ["photos/0.png", "photos/1.png", "none.png", "photos/rows.jsonl"]
    (photos / "rows.jsonl").write_text('{"image_url": "gone.png"}\n')
    for _ in range(2):
        got, summary, _, said = batch(capsys, *line, "--model", "Caps", "--out", "out", "--error-threshold", allowed)
        assert (got, summary["images"], summary["failed"]) == (code, 4, 2)
        assert ("--error-threshold" in said) == bool(code)
    assert len(names(tmp_path / "out")) == 2


def test_done_is_done(shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("photos", "--model", "Caps", "--out", "out")
    batch(capsys, *line)
    code, summary, words, _ = batch(capsys, *line)
    assert code == 0 and "already done" in words
    assert (summary["images"], summary["resumed"], summary["images_per_second"]) == (3, 3, None)
    assert batch(capsys, *line, "--overwrite")[1]["resumed"] == 0


def test_another_model_is_not_mixed_in(shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch(capsys, "photos", "--model", "Caps:1", "--out", "out")
    assert main(["batch", "photos", "--model", "Caps:2", "--out", "out"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(["batch", "photos", "--model", "Caps:1", "--out", "out", "--threshold", ".5"]) == 1


def test_options_take_effect(
    shelf: Shelf,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[tuple[Any, Any]] = []

    def open_it(model: Path, **options: Any) -> Any:
        opened.append((options["threads"], options["provider"]))
        return open_session(model, **options)

    monkeypatch.setattr("scoring.detector.open_session", open_it)
    summary = batch(
        capsys,
        "photos",
        "--model",
        "Caps",
        "--out",
        "out",
        "--threshold",
        "0",
        "--no-csv",
        "--workers",
        "3",
        "--threads",
        "2",
        "--provider",
        "cpu",
    )[1]
    assert summary["boxes"] == 9 and "csv" not in summary["paths"]
    assert opened == [(2, "cpu")]
    assert not (tmp_path / "out" / "predictions.csv").exists()


def test_json_only(shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "batch", "photos", "--model", "Caps", "--out", "out"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["images"] == 3 and "3 of 3" in printed.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "found none"),
        (["*.gif"], 2, "found none"),
        (["photos", "--out", "photos/0.png"], 2, "found a file"),
        (["photos", "--model", "Cups"], 1, "models: Caps"),
        (["photos", "--provider", "gpu"], 2, "expected a provider of cpu, cuda"),
    ],
)
def test_what_cannot_be_done_is_said(
    shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    defaults = [
        *(() if "--model" in arguments else ("--model", "Caps")),
        *(() if "--out" in arguments else ("--out", "out")),
    ]
    assert main(["batch", *arguments, *defaults]) == code
    printed = capsys.readouterr()
    assert words in printed.err and "Traceback" not in printed.err and not printed.out.endswith("}\n")


@pytest.mark.parametrize(
    "option",
    [
        ["--workers", "0"],
        ["--threads", "0"],
        ["--threshold", "2"],
        *(["--error-threshold", each] for each in ("x", "-1", "1.5", "101%", "nan", "nan%")),
    ],
)
def test_arguments_that_make_no_sense(option: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["batch", "photos", "--model", "Caps", "--out", "out", *option])
    assert caught.value.code == 2


def test_a_changed_image_in_the_workspace_of_a_finished_batch(
    shelf: Shelf, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch(capsys, "photos", "--model", "Caps", "--out", "out")
    shutil.copy(photos / "0.png", photos / "1.png")
    assert main(["batch", "photos", "--model", "Caps", "--out", "out"]) == 1
    assert "have changed" in capsys.readouterr().err


def test_it_starts_at_once_and_needs_no_server_and_no_training(shelf: Shelf, photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfor name in ('fastapi', 'uvicorn', 'torch', 'orjson', 'mlflow', 'cv2'): sys.modules[name] = None\n"
        "import model_training.cli.batch as batch; batch.parser()\n"
        "assert not {'numpy', 'PIL', 'onnxruntime'} & set(sys.modules)\n"
        "from model_training.cli.main import main\n"
        "words = 'batch photos photos/rows.jsonl --model Caps --out out --error-threshold 1'\n"
        "sys.exit(main(words.split()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
