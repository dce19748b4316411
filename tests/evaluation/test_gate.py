"""The gate: real ONNX files scored on the same images, each decision and its words."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_training.data.jsonl import read_rows
from model_training.errors import UsageError
from model_training.evaluation.gate import gate
from model_training.workspaces.base import Bundle, Model
from scoring.bundle import write_manifest
from scoring.files import sha256_of
from tests.packaging.shapes import blob_bundle, draw


def champion(bundle: Bundle, version: int = 3) -> Model:
    return Model("Shapes", version, bundle.path, bundle.manifest, {}, "2026-05-01T10:00:00Z", champion=True)


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("part"), "test", 8, 5)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return blob_bundle(tmp_path_factory.mktemp("good") / "bundle")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return blob_bundle(tmp_path_factory.mktemp("bad") / "bundle", shift=9.0)  # boxes that overlap by less than half


def test_the_first_version_becomes_champion(good: Bundle, part: Path) -> None:
    decision = gate(good, None, part, register="if-better")
    assert (decision.register, decision.promote, decision.code) == (True, True, "first")
    assert decision.candidate["mean_average_precision"] == 1.0
    assert (decision.candidate["split"], decision.candidate["images"]) == ("test", 8)
    assert decision.champion is None


def test_better_is_promoted_and_says_by_what(good: Bundle, bad: Bundle, part: Path) -> None:
    decision = gate(good, champion(bad), part, register="if-better")
    assert (decision.register, decision.promote, decision.code) == (True, True, "better")
    assert decision.champion is not None
    assert decision.champion["mean_average_precision"] == 0.0
    assert decision.champion_version == 3
    assert "1.0000 against 0.0000 of Shapes:3" in decision.reason


def test_worse_is_registered_or_not_as_asked(good: Bundle, bad: Bundle, part: Path) -> None:
    kept = gate(bad, champion(good), part)
    assert (kept.register, kept.promote, kept.code) == (True, False, "not_better")
    dropped = gate(bad, champion(good), part, register="if-better")
    assert (dropped.register, dropped.promote) == (False, False)


def test_a_tie_keeps_the_champion_and_so_does_a_gain_within_the_margin(good: Bundle, bad: Bundle, part: Path) -> None:
    assert gate(good, champion(good), part).code == "not_better"
    assert gate(good, champion(bad), part, margin=1.0).code == "not_better"
    assert gate(good, champion(bad), part, margin=0.99).code == "better"


def test_a_champion_that_trained_on_test_images_is_not_compared(good: Bundle, bad: Bundle, part: Path) -> None:
    seen = sha256_of(part.parent / read_rows(part)[2].image_url)
    decision = gate(good, champion(bad), part, champion_trained_on=frozenset({seen, "other"}))
    assert (decision.register, decision.promote, decision.code) == (True, False, "leak")
    assert "1 of the 8 test images" in decision.reason
    assert gate(good, champion(bad), part, champion_trained_on=frozenset({"other"})).code == "better"


def test_other_labels_are_not_compared(good: Bundle, part: Path, tmp_path: Path) -> None:
    old = Bundle(good.path, {**good.manifest, "labels": ["disc", "triangle"]})
    decision = gate(good, champion(old), part, register="if-better")
    assert (decision.register, decision.promote, decision.code) == (False, False, "labels_changed")
    assert "new: square; gone: triangle" in decision.reason


def test_a_champion_that_cannot_be_loaded_stays_and_is_named(good: Bundle, part: Path, tmp_path: Path) -> None:
    broken = tmp_path / "bundle"
    broken.mkdir()
    (broken / "model.onnx").write_bytes(b"not a graph")
    manifest = write_manifest(broken, {k: v for k, v in good.manifest.items() if k != "files"})
    decision = gate(good, champion(Bundle(broken, manifest)), part)
    assert (decision.register, decision.promote, decision.code) == (True, False, "unscorable")
    assert "cva model promote" in decision.reason
    missing = gate(good, champion(Bundle(tmp_path / "gone", manifest)), part)
    assert missing.code == "unscorable"


def test_a_part_without_objects_cannot_decide(good: Bundle, bad: Bundle, part: Path) -> None:
    empty = part.parent / "empty.jsonl"
    lines = part.read_text().splitlines(keepends=True)
    empty.write_text("".join(line for line, row in zip(lines, read_rows(part), strict=True) if not row.boxes))
    assert gate(good, champion(bad), empty).code == "unscorable"


def test_an_unknown_way_to_register_is_refused(good: Bundle, part: Path) -> None:
    with pytest.raises(UsageError, match="always, if-better"):
        gate(good, None, part, register="never")
