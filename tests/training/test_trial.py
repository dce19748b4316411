"""A trial as a process: its files, its errors, and that a killed one ends as an undisturbed one does."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from model_training.errors import ConflictError, DataError, NotFoundError, UsageError
from model_training.training.checkpoint import load_detector
from model_training.training.files import TrialFolder
from model_training.training.trial import main

ROOT = Path(__file__).resolve().parents[2]
MakeTrial = Callable[..., Path]


def _start(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "model_training.training.trial", str(folder)], env=environment)


def _reports(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    for _ in range(6000):
        if condition():
            return
        assert process.poll() is None, "the trial ended too early"
        time.sleep(0.01)
    raise AssertionError("the trial got nowhere in a minute")


def test_killed_and_started_again_it_ends_as_an_undisturbed_one(make_trial: MakeTrial) -> None:
    """Weights, optimizer, average, random state and reports are equal to the bit."""
    quiet = make_trial("quiet", number_of_epochs=4, multi_scale=True)
    assert main([str(quiet)]) == 0
    killed = make_trial("killed", number_of_epochs=4, multi_scale=True)
    for epoch in (1, 3):
        process = _start(killed)
        _wait(lambda wanted=epoch: len(_reports(killed)) >= wanted, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (killed / "result.json").exists()
    assert _start(killed).wait() == 0
    for name in ("last", "best"):
        first, second = (load_file(f / "checkpoints" / f"{name}.safetensors") for f in (quiet, killed))
        assert first.keys() == second.keys()
        assert all(first[key].equal(second[key]) for key in first), name
    timeless = ("epoch", "epochs", "loss", "learning_rate", "metrics")
    assert [[r[k] for k in timeless] for r in _reports(killed)] == [[r[k] for k in timeless] for r in _reports(quiet)]
    same = ("status", "reason", "best_epoch", "epochs", "metrics", "weights")
    assert {k: _json(killed / "result.json")[k] for k in same} == {k: _json(quiet / "result.json")[k] for k in same}


def test_the_budget_that_a_killed_process_spent_stays_spent(make_trial: MakeTrial) -> None:
    folder = make_trial(number_of_epochs=3)
    process = _start(folder)
    _wait(lambda: len(_reports(folder)) >= 1 and TrialFolder(folder).last.is_file(), process)
    process.kill()
    process.wait()
    before = _reports(folder)[0]
    assert main([str(folder)]) == 0
    result = _json(folder / "result.json")
    assert result["cpu_seconds"] > before["cpu_seconds"]
    spent = [report["cpu_seconds"] for report in _reports(folder)]
    assert spent == sorted(spent)


def test_the_files_of_a_finished_trial(make_trial: MakeTrial) -> None:
    folder = make_trial(evaluation_frequency=2, number_of_epochs=3)
    assert main([str(folder)]) == 0
    result = _json(folder / "result.json")
    assert (result["status"], result["epochs"], result["reason"]) == ("completed", 3, "all epochs done")
    assert [report["metrics"] is None for report in _reports(folder)] == [
        True,
        False,
        False,
    ]  # every second, and the last
    assert [report["epochs"] for report in _reports(folder)] == [3, 3, 3]
    assert result["metrics"] == _reports(folder)[result["best_epoch"] - 1]["metrics"]
    progress = _json(folder / "progress.json")
    assert {"epoch", "epochs", "step", "steps", "loss", "images_per_second", "seconds_left"} == progress.keys()
    detector = load_detector(folder / result["weights"])
    assert (detector.labels, detector.image_size, detector.model_size) == (("blue", "red"), 64, "nano")
    assert detector.hyperparameters["number_of_epochs"] == 3
    assert not detector.model.training
    before = (folder / "result.json").stat().st_mtime_ns
    assert main([str(folder)]) == 0  # a finished one returns at once
    assert (folder / "result.json").stat().st_mtime_ns == before


def test_a_budget_ends_the_run_annealed(make_trial: MakeTrial) -> None:
    folder = make_trial(number_of_epochs=1000, evaluation_frequency=1000, spec={"budget_cpu_seconds": 4.0})
    assert main([str(folder)]) == 0
    result, reports = _json(folder / "result.json"), _reports(folder)
    assert result["reason"] == "budget spent"
    assert result["epochs"] < 1000
    assert reports[-1]["learning_rate"] < 0.1 * max(report["learning_rate"] for report in reports)
    assert reports[-1]["metrics"] is not None
    assert result["cpu_seconds"] < 6.0


def test_the_controller_can_stop_it_and_so_can_a_deadline(make_trial: MakeTrial) -> None:
    stopped = make_trial("stopped", number_of_epochs=50)
    (stopped / "stop").write_text("bandit")
    assert main([str(stopped)]) == 0
    assert (_json(stopped / "result.json")["reason"], _json(stopped / "result.json")["epochs"]) == ("bandit", 1)
    late = make_trial("late", number_of_epochs=50, spec={"deadline": time.time() - 1})
    assert main([str(late)]) == 0
    assert _json(late / "result.json")["reason"] == "deadline reached"


def test_two_processes_never_train_the_same_trial(make_trial: MakeTrial) -> None:
    folder = make_trial()
    with (folder / "trial.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main([str(folder)]) == ConflictError.exit_code
    assert not (folder / "result.json").exists()
    assert not (folder / "error.json").exists()  # the other one is well


def test_it_dies_with_its_controller(make_trial: MakeTrial) -> None:
    folder = make_trial(number_of_epochs=500)
    trial = f"[sys.executable, '-m', 'model_training.training.trial', {str(folder)!r}]"
    code = f"import subprocess, sys, time; subprocess.Popen({trial}); time.sleep(60)"
    controller = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    _wait(lambda: len(_reports(folder)) >= 1, controller)
    controller.kill()
    controller.wait()
    with TrialFolder(folder).lock() if _released(folder) else pytest.fail("the trial outlived its controller"):
        pass


def _released(folder: Path) -> bool:
    for _ in range(500):
        try:
            TrialFolder(folder).lock().close()
            return True
        except ConflictError:
            time.sleep(0.01)
    return False


def _write(folder: Path, **changes: Any) -> None:
    (folder / "trial.json").write_text(json.dumps({**_json(folder / "trial.json"), **changes}))


def test_errors_are_told_in_a_file(make_trial: MakeTrial, tmp_path: Path) -> None:
    missing = make_trial("missing")
    _write(missing, train=str(tmp_path / "nowhere.jsonl"))
    assert main([str(missing)]) == NotFoundError.exit_code
    assert _json(missing / "error.json")["type"] == "NotFoundError"
    unknown = make_trial("unknown", tile_overlap=0.5)
    assert main([str(unknown)]) == UsageError.exit_code
    assert "tile_overlap" in _json(unknown / "error.json")["message"]
    label = make_trial("label", spec={"labels": ["red"]})
    assert main([str(label)]) == DataError.exit_code
    assert "blue" in _json(label / "error.json")["message"]
    assert main([str(tmp_path / "no_such_folder")]) == NotFoundError.exit_code


def test_a_loss_that_is_no_number_is_an_error_that_says_what_to_do(make_trial: MakeTrial) -> None:
    folder = make_trial(optimizer="sgd", learning_rate=1.0, momentum=0.0, weight_decay=1e30, number_of_epochs=8)
    assert main([str(folder)]) == 1
    error = _json(folder / "error.json")
    assert error["type"] == "TrainingError"
    assert "learning_rate" in error["hint"]
