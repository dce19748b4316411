"""The generated data set: deterministic, varied, and what its labels say is what is in the picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from model_training.data.sample import make_sample
from scoring.errors import ConflictError, UsageError


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("sample"), images=60, seed=3)


def _lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]


def test_the_same_seed_draws_the_same_bytes_and_a_longer_set_begins_with_the_shorter(tmp_path: Path) -> None:
    short, long = make_sample(tmp_path / "a", images=2, seed=5), make_sample(tmp_path / "b", images=3, seed=5)
    for name in ("images/0000.jpg", "images/0001.jpg"):
        assert (short / name).read_bytes() == (long / name).read_bytes()
    assert _lines(short) == _lines(long)[:2]
    other = make_sample(tmp_path / "c", images=1, seed=6)
    assert (other / "images/0000.jpg").read_bytes() != (short / "images/0000.jpg").read_bytes()


def test_three_classes_and_pictures_without_bottles_in_fair_shares(sample: Path) -> None:
    lines = _lines(sample)
    labels = [box["label"] for line in lines for box in line["label"]]  # type: ignore[attr-defined]
    assert set(labels) == {"cap_white", "cap_yellow", "no_cap"}
    assert all(labels.count(name) > 0.2 * len(labels) for name in set(labels))
    assert 0 < sum(not line["label"] for line in lines) < 0.25 * len(lines)


def test_boxes_lie_in_the_picture_and_their_sizes_run_from_small_to_two_fifths(sample: Path) -> None:
    shares = []
    for line in _lines(sample):
        with Image.open(sample / str(line["image_url"])) as picture:
            width, height = picture.size
        assert line["image_details"] == {"format": "jpg", "width": width, "height": height}
        for box in line["label"]:  # type: ignore[attr-defined]
            assert 0 <= box["topX"] < box["bottomX"] <= 1
            assert 0 <= box["topY"] < box["bottomY"] <= 1
            tall, wide = (box["bottomY"] - box["topY"]) * height, (box["bottomX"] - box["topX"]) * width
            shares.append(max(tall, wide) / max(width, height))
    assert min(shares) < 0.1
    assert 0.3 < max(shares) < 0.45


def test_only_a_new_or_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConflictError, match="found files"):
        make_sample(tmp_path / "mine", images=1)
    with pytest.raises(UsageError, match="at least 1 image"):
        make_sample(tmp_path / "new", images=0)
