"""The bundle in this repository: whole, small, with its provenance, and as good as it says on pictures it never saw."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from model_training.cli.main import main
from scoring.bundle import load_bundle
from scoring.edge.selftest import check_golden

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
BUNDLE = SAMPLES / "Cap_Detection_Model"
MOST_BYTES = 3_000_000


def test_it_is_whole_and_small() -> None:
    assert load_bundle(BUNDLE).labels == ("cap_white", "cap_yellow", "no_cap")
    assert sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file()) <= MOST_BYTES


def test_it_gives_its_golden_answers_here() -> None:
    assert check_golden(BUNDLE) >= 3


def test_it_says_where_it_comes_from() -> None:
    manifest = load_bundle(BUNDLE).manifest.raw
    source = manifest["source"]
    assert re.fullmatch("[0-9a-f]{40}", source["git_commit"])
    assert source["engine"] == "local"
    assert source["dataset"]["name"] == "cap_sample"
    assert re.fullmatch("[0-9a-f]{64}", source["dataset"]["sha256"])
    assert re.fullmatch("[0-9a-f]{64}", source["split_sha256"])
    assert manifest["license"] == "MIT"
    assert manifest["metrics"]["split"] == "test"
    assert manifest["metrics"]["mean_average_precision"] > 0.9


def test_it_finds_caps_through_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    pictures = sorted((SAMPLES / "pictures").iterdir())
    assert main(["score", *map(str, pictures), "--bundle", str(BUNDLE), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [Path(element["filename"]) for element in answer] == pictures
    assert all(any(box["score"] > 0.3 for box in element["boxes"]) for element in answer)
