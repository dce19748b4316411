"""Reports are read as they come, whatever a kill left."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from model_training.sweep.trial_folder import TrialFolder
from model_training.training.spec import EpochReport, TrialSpec

METRIC = "mean_average_precision"
SPEC = TrialSpec(3, "yolov5", {"learning_rate": 0.1}, ("a", "b"), "t", "v", METRIC, 1)


@pytest.fixture
def folder(tmp_path: Path) -> TrialFolder:
    made = TrialFolder(tmp_path / "trial")
    made.write_spec(SPEC)
    return made


def report(epoch: int, value: float | None) -> EpochReport:
    metrics = None if value is None else {METRIC: value}
    return EpochReport(epoch, 9, 1.0, 0.1, 50.0, 10.0, epoch * 2.0, epoch * 1.0, metrics)


def write(folder: TrialFolder, *reports: EpochReport, end: str = "") -> None:
    lines = "".join(json.dumps(asdict(each)) + "\n" for each in reports)
    with (folder.path / "metrics.jsonl").open("a") as stream:
        stream.write(lines + end)


def test_the_spec_comes_back(folder: TrialFolder) -> None:
    assert folder.read_spec() == SPEC and folder.started


def test_each_report_is_given_once_and_an_unfinished_line_waits(folder: TrialFolder) -> None:
    assert folder.tail() == []
    write(folder, report(1, 0.1), end='{"epoch": 2, "epo')
    assert folder.tail() == [report(1, 0.1)]
    assert folder.tail() == []
    rest = json.dumps(asdict(report(2, 0.2))).removeprefix('{"epoch": 2, "epo')
    write(folder, end=rest + "\n")
    assert folder.tail() == [report(2, 0.2)]


def test_a_replaced_file_is_read_anew_without_repeating(folder: TrialFolder) -> None:
    """A trial that goes on drops what came after its checkpoint, then those epochs come again."""
    write(folder, report(1, 0.1), report(2, 0.2), report(3, 0.3))
    folder.tail()
    path = folder.path / "metrics.jsonl"
    shorter = path.with_suffix(".tmp")
    shorter.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    shorter.replace(path)
    write(folder, report(3, 0.35), report(4, 0.4))
    assert folder.tail() == [report(3, 0.35), report(4, 0.4)]
    assert folder.curve(METRIC) == [0.1, 0.2, 0.35, 0.4]


def test_a_line_that_was_cut_off_and_written_behind_is_passed_over(folder: TrialFolder) -> None:
    write(folder, report(1, None), end='{"epoch": 2, "ep{"epoch": 2}\n')
    write(folder, report(2, 0.2))
    assert folder.tail() == [report(1, None), report(2, 0.2)]
    assert folder.curve(METRIC) == [0.2], "an epoch that was not evaluated is no report of the metric"


def test_a_cut_off_trial_counts_with_its_best_checkpoint(folder: TrialFolder) -> None:
    write(folder, report(1, 0.1), report(2, 0.5), report(3, 0.4))
    without = folder.salvage(METRIC, "time is up")
    assert (without.status, without.weights, without.epochs) == ("stopped", None, 3)
    (folder.path / "checkpoints").mkdir()
    (folder.path / "checkpoints" / "best.safetensors").touch()
    kept = folder.salvage(METRIC, "time is up")
    assert (kept.best_epoch, kept.metrics, kept.epochs) == (2, {METRIC: 0.5}, 3)
    assert kept.weights is not None and (kept.number, kept.reason) == (3, "time is up")


def test_an_early_end_has_the_reason_that_it_was_given(folder: TrialFolder) -> None:
    folder.ask_to_stop("bandit: too low")
    ended = {"status": "completed", "best_epoch": 1, "epochs": 2, "metrics": {METRIC: 0.1}, "reason": "asked to stop"}
    (folder.path / "result.json").write_text(json.dumps({**ended, "cpu_seconds": 1, "seconds": 1}))
    found = folder.result()
    assert found is not None and (found.status, found.reason) == ("stopped", "bandit: too low")


def test_weights_that_were_never_written_are_none(folder: TrialFolder) -> None:
    ended = {"status": "completed", "best_epoch": 0, "epochs": 0, "metrics": None, "reason": "deadline reached"}
    named = {**ended, "weights": "checkpoints/best.safetensors", "cpu_seconds": 1, "seconds": 1}
    (folder.path / "result.json").write_text(json.dumps(named))
    found = folder.result()
    assert found is not None and (found.status, found.weights, found.metrics) == ("stopped", None, {})
