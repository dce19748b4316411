"""The sweep as a whole, with real processes that obey the trial protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from model_training.jobs.spec import EarlyTermination
from model_training.sweep.controller import run_sweep
from model_training.workspaces.base import Event
from scoring.errors import CancelledError, ConflictError, TrainingError, UsageError


class Events(list[Event]):
    def kinds(self, kind: str) -> list[Event]:
        return [event for event in self if event.kind == kind]


def test_the_best_trial_wins_and_the_leaderboard_is_kept(make_job, fake_trials, tmp_path: Path) -> None:
    job = make_job([{"scores": [0.1, 0.2]}, {"scores": [0.3, 0.5]}, {"scores": [0.4, 0.3]}], concurrent=2)
    events = Events()
    best = run_sweep(job, folder=tmp_path / "sweep", reporter=events.append, executor=fake_trials)
    assert (best.best.number, best.best.best_epoch, best.best.status) == (1, 2, "completed")
    assert best.best.weights is not None and best.best.weights.read_bytes() == b"weights"
    assert [result.number for result in best.leaderboard] == [1, 2, 0]
    rows = json.loads((tmp_path / "sweep" / "leaderboard.json").read_text())
    assert [row["mAP"] for row in rows] == [0.5, 0.4, 0.2]
    assert len(events.kinds("epoch")) == 6 and len(events.kinds("trial_ended")) == 3
    assert events.kinds("leaderboard")[0].data["trials"] == rows


def test_an_epoch_is_told_in_one_line_and_as_numbers(make_job, fake_trials, tmp_path: Path) -> None:
    events = Events()
    job = make_job([{"scores": [0.412]}])
    run_sweep(job, folder=tmp_path / "sweep", reporter=events.append, executor=fake_trials)
    (epoch,) = events.kinds("epoch")
    assert epoch.text == "trial 1/1  epoch 1/1  loss 1.00  mAP 0.412  71 images/s  2:10 left"
    assert epoch.data["value"] == 0.412 and epoch.data["seconds_left"] == 130.0 and epoch.data["trial"] == 0


def test_no_more_trials_run_at_once_than_the_job_says(make_job, fake_trials, tmp_path: Path) -> None:
    running: list[int] = []
    peak = []

    def count(event: Event) -> None:
        running.extend([1] * (event.kind == "trial_started"))
        del running[: event.kind == "trial_ended"]
        peak.append(len(running))

    job = make_job([{"scores": [0.1], "epoch_seconds": 0.2}] * 5, concurrent=2)
    run_sweep(job, folder=tmp_path / "sweep", reporter=count, executor=fake_trials)
    assert max(peak) == 2


def test_a_bad_trial_is_stopped_by_the_bandit_and_the_reason_is_kept(make_job, fake_trials, tmp_path: Path) -> None:
    policy = EarlyTermination(evaluation_interval=1, delay_evaluation=2, slack_factor=0.2)
    good, bad = {"scores": [0.5] * 4}, {"scores": [0.1] * 60, "epoch_seconds": 0.1}
    events = Events()
    best = run_sweep(
        make_job([good, bad], early_termination=policy),
        folder=tmp_path / "sweep",
        reporter=events.append,
        executor=fake_trials,
    )
    stopped = best.leaderboard[1]
    assert (stopped.number, stopped.status) == (1, "stopped") and stopped.epochs < 60
    assert stopped.reason.startswith("bandit: 0.1 after report 2 is below 0.417 = 0.5 / (1 + 0.2)")
    assert any("stops: bandit" in event.text for event in events)


def test_a_failed_trial_does_not_fail_the_sweep(make_job, fake_trials, tmp_path: Path) -> None:
    job = make_job([{"scores": [0.9] * 3, "fail_at": 2}, {"scores": [0.2]}, {"scores": [0.3] * 2, "die_at": 2}])
    best = run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    assert best.best.number == 1
    assert {result.number: result.status for result in best.leaderboard} == {0: "failed", 1: "completed", 2: "failed"}
    killed = next(result for result in best.leaderboard if result.number == 2)
    assert killed.reason == "the trial's process was ended by SIGKILL (out of memory?)"


def test_when_all_fail_the_first_trials_message_and_log_are_given(make_job, fake_trials, tmp_path: Path) -> None:
    job = make_job([{"scores": [0.9], "leave_at": 1}, {"scores": [0.2], "fail_at": 1}])
    with pytest.raises(TrainingError) as caught:
        run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    assert "every trial failed; the first said: the trial's process ended with code 3: something broke" in str(
        caught.value
    )
    assert Path(caught.value.log).read_text() == "something broke\n"


def test_after_all_failed_the_same_call_tries_again(make_job, fake_trials, tmp_path: Path) -> None:
    job = make_job([{"scores": [0.2, 0.3], "fail_at": 2}])
    with pytest.raises(TrainingError, match="every trial failed"):
        run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    spec = tmp_path / "sweep" / "trials" / "0000" / "trial.json"
    spec.write_text(spec.read_text().replace('"fail_at": 2', '"fail_at": 9'))  # what was in the way is gone
    best = run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    assert best.best.metrics == {"mean_average_precision": 0.3} and best.best.status == "completed"


def test_a_finished_sweep_does_not_repeat_its_failures(make_job, fake_trials, tmp_path: Path) -> None:
    job = make_job([{"scores": [0.2], "fail_at": 1}, {"scores": [0.3]}])
    first = run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    assert run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials) == first
    assert len(list((tmp_path / "sweep").glob("trials/0000/start-*"))) == 1


def test_log_verbosity_hides_the_course_of_trials(make_job, fake_trials, tmp_path: Path) -> None:
    from dataclasses import replace

    events = Events()
    job = replace(make_job([{"scores": [0.2]}]), log_verbosity="warning")
    run_sweep(job, folder=tmp_path / "sweep", reporter=events.append, executor=fake_trials)
    assert [event.kind for event in events] == ["leaderboard"]


def test_the_timeout_is_kept_and_what_was_reached_counts(make_job, fake_trials, tmp_path: Path) -> None:
    # the first ends by itself at its deadline, the second hears nothing and is ended; the third never starts
    slow = {"scores": [0.4] + [0.3] * 500, "epoch_seconds": 0.05}
    deaf = {"scores": [0.5] + [0.3] * 500, "epoch_seconds": 0.05, "ignore_term": True}
    job = make_job([slow, deaf, {"scores": [0.9]}], concurrent=2, timeout_minutes=2 / 60)
    begin = time.monotonic()
    best = run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    assert time.monotonic() - begin < 20
    assert [(result.number, result.status) for result in best.leaderboard] == [(1, "stopped"), (0, "stopped")]
    assert best.best.metrics == {"mean_average_precision": 0.5} and best.best.best_epoch == 1
    assert "timeout_minutes" in best.best.reason
    again = run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    assert again.best == best.best, "the spent time is remembered: nothing starts again"


def test_a_timeout_with_nothing_finished_says_so(make_job, fake_trials, tmp_path: Path) -> None:
    job = make_job([{"scores": [0.4], "epoch_seconds": 60}], timeout_minutes=0.5 / 60)
    with pytest.raises(TrainingError, match=r"no trial finished an evaluated epoch: .*timeout_minutes"):
        run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)


def test_the_same_folder_again_keeps_finished_trials(make_job, fake_trials, tmp_path: Path) -> None:
    job = make_job([{"scores": [0.1]}, {"scores": [0.2]}])
    first = run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    second = run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    assert first == second
    assert len(list((tmp_path / "sweep").glob("trials/*/start-*"))) == 2


def test_cancelling_ends_the_trials_and_the_same_call_goes_on(make_job, fake_trials, tmp_path: Path) -> None:
    scores = [0.1 * epoch for epoch in range(1, 6)]
    job = make_job([{"scores": [0.05]}, {"scores": scores, "epoch_seconds": 0.3}])
    events = Events()
    with pytest.raises(CancelledError, match="1 of 2 trials"):
        run_sweep(
            job,
            folder=tmp_path / "sweep",
            reporter=events.append,
            cancelled=lambda: any(event.data["trial"] == 1 for event in events.kinds("epoch")),
            executor=fake_trials,
        )
    best = run_sweep(job, folder=tmp_path / "sweep", reporter=events.append, executor=fake_trials)
    assert best.best.metrics == {"mean_average_precision": 0.5}
    lines = (tmp_path / "sweep" / "trials" / "0001" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5], "each epoch ran once"


def test_a_folder_in_use_is_a_conflict(make_job, fake_trials, tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "sweep").mkdir()
    with FileLock(tmp_path / "sweep" / "sweep.lock"), pytest.raises(ConflictError, match="another process"):
        run_sweep(make_job([{"scores": [0.1]}]), folder=tmp_path / "sweep", executor=fake_trials)


def test_a_job_without_data_is_refused(make_job, fake_trials, tmp_path: Path) -> None:
    from dataclasses import replace

    job = replace(make_job([{"scores": [0.1]}]), data=None)
    with pytest.raises(UsageError, match="no data"):
        run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)


def test_a_budget_is_divided_over_the_waves(make_job, fake_trials, tmp_path: Path) -> None:
    job = make_job([{"scores": [0.1]}] * 4, concurrent=2, budget_minutes=8, budget_cpu_seconds=77.0)
    run_sweep(job, folder=tmp_path / "sweep", executor=fake_trials)
    specs = [json.loads(path.read_text()) for path in sorted((tmp_path / "sweep").glob("trials/*/trial.json"))]
    assert {spec["budget_cpu_seconds"] for spec in specs} == {77.0}
    # two waves in the job's limit of five minutes; whoever comes later gets what the earlier ones left
    assert 100 < specs[0]["budget_seconds"] < 150 and 100 < specs[1]["budget_seconds"] < 150
    assert 200 < specs[3]["budget_seconds"] < 300


def test_a_trial_gets_its_surroundings(make_job, fake_trials, tmp_path: Path) -> None:
    run_sweep(make_job([{"scores": [0.1]}]), folder=tmp_path / "sweep", executor=fake_trials)
    (start,) = (tmp_path / "sweep").glob("trials/0000/start-*")
    environment = json.loads(start.read_text())
    assert environment["MALLOC_MMAP_MAX_"] == "0" and environment["OMP_NUM_THREADS"] == "1"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


def test_kill_9_in_the_middle_and_the_same_call_goes_on(tmp_path: Path) -> None:
    """Controller and trials are killed; nothing finished runs again, each epoch is kept, and the end is the same."""
    script = tmp_path / "sweep.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(tmp_path / "sweep")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment())
    metrics = tmp_path / "sweep" / "trials" / "0001" / "metrics.jsonl"
    _wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") >= 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {"best": 1, "values": {"0": 0.3, "1": 0.5}}
    folders = sorted((tmp_path / "sweep" / "trials").glob("0*"))
    assert [len(list(folder.glob("start-*"))) for folder in folders] == [1, 2]
    assert [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()] == list(range(1, 9))


KILLED = f"""
import dataclasses, json, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import model_training.sweep.controller as controller, model_training.sweep.study as study
from conftest import FakeTrials, _numbered
from model_training.jobs.spec import DataPaths, JobSpec, Limits
behaviours = [{{"scores": [0.3]}}, {{"scores": [0.1] * 7 + [0.5], "epoch_seconds": 0.2}}]
study.sample = lambda spaces, seed, number: _numbered(number)
controller.hyperparameters = lambda job, sampled: ("yolov5", {{"behaviour": behaviours[sampled["number"]]}})
job = JobSpec("image_object_detection", "mean_average_precision", "e", "", "t", "", 0.2, "label", Limits(5, 2, 1), {{}},
              "random", None, ())
job = job.on(DataPaths(Path("t"), Path("v"), ("a",)))
best = controller.run_sweep(job, folder=Path(sys.argv[1]), executor=FakeTrials())
values = {{r.number: r.metrics["mean_average_precision"] for r in sorted(best.leaderboard, key=lambda r: r.number)}}
print(json.dumps({{"best": best.best.number, "values": values}}))
"""


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def _wait_for(condition: Any) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 30 seconds")
