"""What the report counts."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from model_training.data.checks import check_rows, report_on
from model_training.data.problems import Problem
from model_training.data.rows import Box, Row
from tests.data.test_duplicates import as_jpeg, photograph


def test_counts_sizes_and_tiny_boxes() -> None:
    small, large = Box("can", 0, 0, 0.02, 0.02), Box("cup", 0, 0, 0.4, 0.4, is_crowd=True)
    rows = [
        Row("a", boxes=(small, large), width=200, height=100, sha256="a"),
        Row("b", width=200, height=100, sha256="b"),
        Row("c", boxes=(large, large), width=100, height=200, sha256="c"),
    ]
    report = report_on(rows, ["train", "test", "test"], {}, image_size=100)
    assert (report.images, report.boxes, report.crowds, report.without_objects) == (3, 4, 3, 1)
    assert report.parts == {"train": 1, "validation": 0, "test": 2}
    assert report.classes["cup"] == {"images": 2, "objects": 3, "train": 1, "validation": 0, "test": 2}
    assert report.sizes["1 % - 3 %"] == 1
    assert report.sizes["30 % - 50 %"] == 3
    assert report.tiny == 1  # 0.02 x 100 px high, halved: 1 px


def test_a_folder_is_read_whole_with_faults_and_duplicates_across_parts(tmp_path: Path) -> None:
    photograph(1).save(tmp_path / "a.png")
    photograph(1).save(tmp_path / "b.png")
    as_jpeg(photograph(1), 60).save(tmp_path / "c.jpg")
    photograph(2).save(tmp_path / "d.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "d.png").read_bytes()[:3000])
    rows = [Row(name, file_name=name) for name in ("a.png", "b.png", "c.jpg", "d.png", "cut.png")]
    parts = {"a.png": "train", "b.png": "train", "c.jpg": "test", "d.png": "validation"}
    report = check_rows(
        [*rows, Problem("x.xml", 3, "no such class")],
        lambda row: tmp_path / row.image_url,
        part_of=lambda row: parts[row.file_name],
        image_size=640,
    )
    assert (report.images, len(report.problems)) == (4, 2)
    (exact,), (near,) = report.exact, report.near
    assert (exact.files, exact.across) == (("a.png", "b.png"), False)
    assert (set(near.files), near.across) == ({"a.png", "c.jpg"}, True)
    assert report.json()["near"][0]["across"] is True


def test_pictures_of_noise_are_not_alike(tmp_path: Path) -> None:
    for i in range(5):
        Image.effect_noise((64, 64), 80 + i).save(tmp_path / f"{i}.png")
    rows = [Row(f"{i}.png") for i in range(5)]
    report = check_rows(rows, lambda row: tmp_path / row.image_url, part_of=lambda row: "", image_size=640)
    assert (report.near, report.exact, report.parts) == ([], [], {})
