"""`cva data …` as a person types it: what works, and what every mistake says."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_training.cli.data import FORMATS as NAMED
from model_training.cli.main import main
from model_training.data.formats import FORMATS
from model_training.data.jsonl import write_rows
from model_training.data.rows import Box, Row
from model_training.workspaces import dataset_files
from model_training.workspaces.local import LocalWorkspace
from tests.contracts.workspace_contract import pictures

Cva = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cva(capsys: pytest.CaptureFixture[str]) -> Cva:
    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def caps(tmp_path: Path) -> Path:
    """Twenty labelled images as a JSONL file with its images."""
    folder = tmp_path / "caps"
    write_rows(folder / "data.jsonl", [_beside(row) for row in pictures(folder, 20)])
    return folder


def _beside(row: Row) -> Row:
    return Row(row.file_name, boxes=row.boxes, width=row.width, height=row.height)


def last(text: str) -> Any:
    return json.loads(text.splitlines()[-1])


def test_the_formats_that_help_names_are_those_that_there_are() -> None:
    assert set(NAMED) == set(FORMATS)


def test_import_show_split_list_and_export(cva: Cva, caps: Path, tmp_path: Path) -> None:
    code, out, _ = cva("data", "import", caps, "--name", "caps", "--description", "first light")
    assert code == 0
    assert "imported caps:1: 20 images, 20 boxes, 2 classes (cap, no_cap)" in out
    assert last(out)["split"]["counts"] == {"train": 14, "validation": 3, "test": 3}
    assert "first light" in cva("data", "show", "caps")[1]
    assert last(cva("data", "list", "--json")[1])[0]["name"] == "caps"
    shown = last(cva("data", "split", "caps@latest", "--json")[1])
    assert shown["classes"]["cap"]["train"] == 7
    assert sum(shown["classes"]["cap"].values()) == 10
    code, out, _ = cva("data", "export", "caps", "--format", "voc", "--to", tmp_path / "out")
    folder = Path(last(out)["paths"]["folder"])
    assert (code, folder.parent, folder.name[:5]) == (0, tmp_path / "out", "caps_")
    code, out, _ = cva("data", "import", folder, "--name", "again")  # the format is told by the files
    assert last(out)["images"] == 20
    assert last(out)["split"]["counts"] == {"train": 14, "validation": 3, "test": 3}


def test_import_again_says_that_nothing_is_new(cva: Cva, caps: Path) -> None:
    cva("data", "import", caps, "--name", "caps")
    code, out, _ = cva("data", "import", caps, "--name", "caps", "--split-seed", 5)
    assert (code, last(out)["version"], last(out)["new"]) == (0, 1, False)
    assert "unchanged" in out
    assert "--redo" in out  # the seed had no effect, and that is said


def test_redo_makes_another_version_and_warns(cva: Cva, caps: Path) -> None:
    cva("data", "import", caps, "--name", "caps")
    code, out, err = cva("data", "split", "caps", "--redo", "--seed", 4, "--fractions", "0.5,0.25,0.25", "--json")
    assert (code, last(out)["dataset"], last(out)["counts"]["train"]) == (0, "caps:2", 10)
    assert "gate refuses" in err
    code, _, err = cva("data", "split", "caps", "--seed", 4)
    assert (code, "--redo" in err) == (2, True)


def test_json_keeps_stdout_to_one_object(cva: Cva, caps: Path) -> None:
    _, out, err = cva("data", "import", caps, "--name", "caps", "--json")
    assert (len(out.splitlines()), last(out)["name"]) == (1, "caps")
    assert "imported caps:1" in err


def test_check_of_a_dataset_and_of_a_folder(cva: Cva, caps: Path) -> None:
    cva("data", "import", caps, "--name", "caps")
    for what in ("caps", caps):
        code, out, _ = cva("data", "check", what)
        assert (code, "no bad rows" in out, "20 good images" in out) == (0, True, True)
    report = last(cva("data", "check", "caps", "--image-size", "16", "--json")[1])
    assert (report["tiny"], report["classes"]["cap"]["objects"]) == (20, 10)


def test_check_lists_every_bad_row_with_file_and_line_and_fails(cva: Cva, caps: Path) -> None:
    _spoil(caps)
    code, out, _ = cva("data", "check", caps)
    assert code == 1
    assert "data.jsonl:1" in out
    assert "data.jsonl:3" in out
    assert "004.png" in out
    assert "3 bad rows" in out


def _spoil(caps: Path) -> None:
    """A box outside in line 1, one that is no box in line 3, an image that is cut off."""
    lines = (caps / "data.jsonl").read_text().splitlines()
    first, third = json.loads(lines[0]), json.loads(lines[2])
    first["label"][0]["bottomX"] = 1.01
    third["label"][0]["bottomX"] = third["label"][0]["topX"]
    lines[0], lines[2] = json.dumps(first), json.dumps(third)
    (caps / "data.jsonl").write_text("\n".join(lines) + "\n")
    cut = caps / "004.png"
    cut.write_bytes(cut.read_bytes()[:200])


def test_bad_rows_stop_an_import_unless_told_otherwise(cva: Cva, caps: Path) -> None:
    _spoil(caps)
    code, out, err = cva("data", "import", caps, "--name", "caps")
    assert (code, cva("data", "list", "--json")[1]) == (1, "[]\n")
    for words in ("data.jsonl:1", "data.jsonl:3", "004.png", "3 problems", "--skip-bad-rows", "--clip-boxes"):
        assert words in err
    assert "Traceback" not in err
    code, out, _ = cva("data", "import", caps, "--name", "caps", "--skip-bad-rows")
    assert (code, last(out)["images"], len(last(out)["left_out"])) == (0, 17, 3)
    code, out, _ = cva("data", "import", caps, "--name", "caps", "--skip-bad-rows", "--clip-boxes", "--skip-bad-boxes")
    assert (last(out)["images"], last(out)["boxes"], len(last(out)["changed"])) == (19, 18, 2)
    assert "cut at the image's edge" in out


MISTAKES: list[tuple[list[str], int, str]] = [
    (["import", "nowhere", "--name", "x", "--format", "voc"], 1, "nothing at"),
    (["import", "nowhere", "--name", "x"], 2, "--format"),
    (["import", "words.txt", "--name", "x"], 2, "--format"),
    (["import", "words.txt", "--name", "x", "--format", "voc"], 1, "words.txt"),  # a file where a folder is expected
    (["import", "empty", "--name", "x", "--format", "coco"], 1, "empty"),
    (["import", "empty", "--name", "x", "--format", "yolo"], 1, "empty"),
    (["import", "empty", "--name", "x", "--format", "jsonl"], 1, "empty"),
    (["import", "caps", "--name", "x", "--format", "voc"], 1, "--format jsonl"),  # what it looks like
    (["import", "caps", "--name", "x", "--format", "pdf"], 2, "pdf"),
    (["import", "caps", "--name", "a b"], 2, "letters"),
    (["import", "caps", "--name", "x", "--fractions", ".5,.5"], 2, "three"),
    (["import", "caps", "--name", "x", "--fractions", ".5,.5,.5"], 2, "add up"),
    (["import", "caps", "--name", "x", "--group-pattern", "("], 2, "regular expression"),
    (["check", "nothing"], 1, "nothing"),
    (["show", "nothing"], 1, "cva data import"),
    (["show", "nothing:x"], 2, "version number"),
    (["export", "nothing", "--format", "voc"], 1, "nothing"),
    (["sample", "--to", "caps"], 1, "empty folder"),
    (["sample", "--images", "0"], 2, "at least 1"),
]


@pytest.mark.parametrize(("words", "exit_code", "said"), MISTAKES, ids=[" ".join(words) for words, *_ in MISTAKES])
def test_every_mistake_says_what_to_do(
    cva: Cva, caps: Path, tmp_path: Path, words: list[str], exit_code: int, said: str
) -> None:
    (tmp_path / "words.txt").write_text("words")
    (tmp_path / "empty").mkdir()
    code, _, err = cva("data", *words)
    assert (code, said in err, "Traceback" in err) == (exit_code, True, False), err
    assert LocalWorkspace.open().datasets.list() == []


def test_an_empty_data_set(cva: Cva, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("")
    code, _, err = cva("data", "import", tmp_path / "data.jsonl", "--name", "x")
    assert (code, "found none" in err) == (1, True)


def test_a_nan_box_a_class_without_name_and_a_truncated_image(cva: Cva, caps: Path) -> None:
    lines = (caps / "data.jsonl").read_text().splitlines()
    lines[0] = lines[0].replace('"topX":0.25', '"topX":NaN')
    lines[1] = lines[1].replace('"label":"cap"', '"label":" "')
    (caps / "data.jsonl").write_text("\n".join(lines) + "\n")
    Image.new("RGB", (9, 9)).save(caps / "004.png")  # not the size that is written
    code, _, err = cva("data", "import", caps, "--name", "x")
    assert code == 1
    for words in ("data.jsonl:1", "finite", "data.jsonl:2", "blank", "48 x 32"):
        assert words in err


def test_a_full_disk(cva: Cva, caps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "data.jsonl")

    monkeypatch.setattr(dataset_files, "write_rows", full)
    code, _, err = cva("data", "import", caps, "--name", "x")
    assert (code, "No space left on device" in err, "cva workspace gc" in err) == (1, True, True)
    assert "Traceback" not in err


def test_the_sample_goes_the_whole_way(cva: Cva, tmp_path: Path) -> None:
    code, out, _ = cva("data", "sample", "--to", tmp_path / "drawn", "--images", 12, "--seed", 2)
    assert (code, last(out)["images"]) == (0, 12)
    code, out, _ = cva("data", "import", tmp_path / "drawn", "--format", "jsonl", "--name", "bottles")
    assert (code, last(out)["labels"]) == (0, ["cap_white", "cap_yellow", "no_cap"])


def test_bccd_with_its_own_split(cva: Cva, bccd: Path) -> None:
    """Real photographs: two boxes without extent stop the import, then are left out; the published parts are kept."""
    code, _, err = cva("data", "import", bccd, "--format", "voc", "--name", "bccd")
    assert code == 1
    assert "BloodImage_00338.xml:163" in err
    assert "BloodImage_00343.xml:55" in err
    assert "2 problems (and 362 good rows)" in err
    code, out, _ = cva("data", "import", bccd, "--format", "voc", "--name", "bccd", "--skip-bad-boxes")
    found = last(out)
    assert (code, found["images"], found["boxes"], len(found["changed"])) == (0, 364, 4886, 2)
    assert found["split"]["counts"] == {"train": 205, "validation": 87, "test": 72}
    report = last(cva("data", "check", "bccd", "--json")[1])
    assert [alike["files"] for alike in report["near"]] == [["BloodImage_00037.jpg", "BloodImage_00038.jpg"]]
    assert (report["problems"], report["exact"]) == ([], [])


def test_groups_stay_together(cva: Cva, tmp_path: Path) -> None:
    rows = pictures(tmp_path / "cams", 24)
    for number, row in enumerate(rows):
        Path(row.image_url).rename(tmp_path / "cams" / f"cam{number % 6}_{number}.png")
    box = (Box("cap", 0.1, 0.1, 0.5, 0.5),)
    write_rows(tmp_path / "cams" / "data.jsonl", [Row(f"cam{n % 6}_{n}.png", boxes=box) for n in range(24)])
    cva("data", "import", tmp_path / "cams", "--name", "cams", "--group-pattern", r"^(cam\d+)_")
    datasets = LocalWorkspace.open().datasets
    homes = {(name[:4], part) for name, part in datasets.parts(datasets.get("cams")).items()}
    assert len(homes) == 6
