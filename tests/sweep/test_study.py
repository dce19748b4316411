"""The journal survives a kill, and says what the folders say."""

from __future__ import annotations

from pathlib import Path

from model_training.jobs.spec import Distribution
from model_training.sweep.study import SweepStudy
from model_training.workspaces.base import TrialResult

SPACES = [
    {"model_name": Distribution("fixed", ("yolov5",)), "learning_rate": Distribution("uniform", low=0.1, high=1.0)}
]
METRIC = "mean_average_precision"


def study(path: Path) -> SweepStudy:
    return SweepStudy(path / "study.journal", spaces=SPACES, seed=1)


def result(number: int, status: str, value: float | None) -> TrialResult:
    metrics = {} if value is None else {METRIC: value}
    return TrialResult(number, status, "yolov5", {}, metrics, 1, 2, 0.0, 0.0, Path(), None)


def test_a_study_is_read_back(tmp_path: Path) -> None:
    first = study(tmp_path)
    samples = [first.ask(number).values for number in range(4)]
    for epoch, value in enumerate([0.2, 0.4], 1):
        first.report(0, epoch, value)
        first.report(1, epoch, value / 2)
    first.tell(result(0, "completed", 0.4), METRIC)
    first.tell(result(1, "stopped", 0.2), METRIC)
    first.tell(result(2, "failed", None), METRIC)
    again = study(tmp_path)
    assert [again.ask(number).values for number in range(4)] == samples
    assert again.values() == [0.4, 0.2, None, None]
    again.tell(result(0, "completed", 0.9), METRIC)
    again.report(0, 3, 0.9)
    assert again.values()[0] == 0.4, "what has ended stays"


def test_a_line_that_a_kill_cut_off_is_dropped(tmp_path: Path) -> None:
    first = study(tmp_path)
    first.ask(0)
    journal = tmp_path / "study.journal"
    whole = journal.read_bytes()
    for cut in (1, 20):
        journal.write_bytes(whole + whole.splitlines()[-1][:cut])
        (tmp_path / "study.journal.lock").symlink_to("nowhere")
        assert study(tmp_path).values() == [None]
        assert journal.read_bytes().startswith(whole[: whole.rstrip().rfind(b"\n")])
