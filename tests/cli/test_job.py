"""`cva job` as people use it, with real trials that train for seconds."""

from __future__ import annotations

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

from model_training.cli.main import main
from model_training.sweep.files import read_json
from tests.jobs.jobs_text import fixed, job
from tests.jobs.pictures import draw
from tests.refusing import AZURE, environment

EPOCHS = 24
TINY = {"image_size": 64, "number_of_epochs": EPOCHS, "training_batch_size": 4, "validation_batch_size": 8}
DATA = {"path": "data", "type": "mltable"}


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    """A job of two trials on 24 pictures."""
    draw(tmp_path / "data", 24)
    path = tmp_path / "job.yml"
    path.write_text(
        job(
            training_data=DATA,
            limits={"max_trials": 2, "max_concurrent_trials": 1, "timeout_minutes": 10},
            training_parameters=TINY,
        ),
        encoding="utf-8",
    )
    return path


Capture = pytest.CaptureFixture[str]


def said(capsys: Capture, *arguments: str | Path) -> tuple[int, Any, str]:
    """Exit code, the JSON of --json and what people read."""
    code = main([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out.splitlines()[-1]) if captured.out else None, captured.err


def test_validate_prints_the_settings_and_where_they_come_from(job_file: Path, capsys: Capture) -> None:
    code, result, text = said(capsys, "job", "validate", job_file)
    assert code == 0 and result["valid"] and result["limits"]["max_trials"] == 2
    settings = result["hyperparameters"]
    assert settings["image_size"] == {"value": 64, "from": "job"}
    assert settings["learning_rate"]["from"] == "searched"
    assert settings["momentum"] == {"value": 0.9, "from": "default"}
    assert "0.0001 to 0.01" in text and "job.yml is a job that this machine can run" in text


def test_validate_with_azures_defaults(job_file: Path, capsys: Capture) -> None:
    _, result, _ = said(capsys, "job", "validate", job_file, "--defaults", "azure")
    assert result["hyperparameters"]["training_batch_size"]["from"] == "job"
    assert result["hyperparameters"]["optimizer"] == {"value": "sgd", "from": "azure default"}
    assert result["hyperparameters"]["weight_decay"] == {"value": 1e-4, "from": "azure default"}


def test_validate_tells_every_problem(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "job.yml"
    path.write_text(fixed(learning_rate=5, optimizr="sgd", img_size=320), encoding="utf-8")
    assert main(["job", "validate", str(path)]) == 2
    errors = capsys.readouterr().err
    assert "learning_rate: expected a number in [0, 1], found 5" in errors
    assert "did you mean 'optimizer'?" in errors and "Traceback" not in errors
    path.write_text(fixed(img_size=320), encoding="utf-8")
    assert main(["job", "validate", str(path)]) == 0
    assert "'img_size' is the older name of 'image_size'" in capsys.readouterr().err
    assert main(["job", "validate", str(path), "--for", "azure"]) == 2


def test_a_dry_run_starts_nothing_and_says_what_a_budget_chooses(job_file: Path, capsys: Capture) -> None:
    code, result, text = said(capsys, "job", "run", job_file, "--budget-minutes", "10", "--dry-run")
    assert code == 0 and sum(result["images"].values()) == 24
    assert result["hyperparameters"]["model_size"] == {"value": "nano", "from": "run"}
    assert "nothing was started" in text and "10 min" in text
    assert said(capsys, "job", "list")[1] == []


@pytest.mark.parametrize("option", ["--budget-minutes", "--budget-cpu-seconds", "--max-trials"])
def test_limits_below_zero_are_refused(option: str, job_file: Path, capsys: Capture) -> None:
    try:
        code = main(["job", "run", str(job_file), option, "-1"])
    except SystemExit as exit:
        code = int(str(exit.code))
    assert code == 2 and "-1" in capsys.readouterr().err


def test_a_job_without_its_data_is_refused_before_a_run_exists(job_file: Path, capsys: Capture) -> None:
    job_file.write_text(fixed(), encoding="utf-8")
    assert main(["job", "run", str(job_file)]) == 1
    assert "caps" in capsys.readouterr().err
    assert said(capsys, "job", "list")[1] == []


def test_kill_9_then_the_same_command_goes_on_to_a_bundle(job_file: Path, tmp_path: Path, capsys: Capture) -> None:
    """Killed while a trial trains: the run goes on in its folder, each epoch stands once, the result is shown."""
    command = [sys.executable, "-m", "model_training", "job", "run", str(job_file), "--budget-minutes", "5"]
    command += ["--max-trials", "1"]
    runs = tmp_path / "workspace" / "runs"
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment())
    _wait_for(lambda: any(p.read_text().count("\n") > 1 for p in runs.glob("*/sweep/trials/0000/metrics.jsonl")))
    started.send_signal(signal.SIGKILL)
    started.wait()
    (folder,) = runs.iterdir()
    trial = folder / "sweep" / "trials" / "0000"
    before = read_json(trial / "trial.json")
    _, (run,), _ = said(capsys, "job", "list")
    assert run["status"] == "Failed" and "submit again to go on" in run["error"]

    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["run"] == folder.name and result["status"] == "Completed"
    validated = (folder / "data" / "validation.jsonl").read_text().count("\n")
    assert result["metrics"]["split"] == "validation" and result["metrics"]["images"] == validated
    assert (Path(result["paths"]["bundle"]) / "manifest.json").is_file()
    assert read_json(trial / "trial.json")["hyperparameters"] == before["hyperparameters"]
    assert before["hyperparameters"]["model_size"] == "nano"
    epochs = [json.loads(line)["epoch"] for line in (trial / "metrics.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, EPOCHS + 1))
    assert "trial 1/1  goes on" in done.stdout and "compute azureml:gpu-cluster: this run uses" in done.stdout

    code, shown, text = said(capsys, "job", "show", folder.name)
    assert code == 0 and len(shown["leaderboard"]) == 1 and shown["metrics"] == result["metrics"]
    assert "learning_rate" in text and "Completed" in text
    assert said(capsys, "job", "cancel", folder.name)[1]["status"] == "Completed", "an ended run stays as it ended"


def test_a_cancelled_run_is_cancelled_and_says_how_to_go_on(job_file: Path, tmp_path: Path, capsys: Capture) -> None:
    text = job_file.read_text(encoding="utf-8").replace(f"number_of_epochs: {EPOCHS}", "number_of_epochs: 5000")
    job_file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "model_training", "job", "run", str(job_file), "--budget-minutes", "5"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment())
    runs = tmp_path / "workspace" / "runs"
    _wait_for(lambda: bool(list(runs.glob("*/sweep/trials/0000/trial.json"))))
    (folder,) = runs.iterdir()
    assert said(capsys, "job", "cancel", folder.name)[1]["status"] == "CancelRequested"
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on from there" in errors
    assert said(capsys, "job", "show", folder.name)[1]["status"] == "Canceled"


def test_an_unknown_run_is_an_error(capsys: Capture) -> None:
    assert main(["job", "show", "nothing"]) == 1
    assert "there is no run 'nothing'" in capsys.readouterr().err


def _environment() -> dict[str, str]:
    """Of a local command: it and its trials import no Azure package."""
    return {**os.environ, **environment(*AZURE)}


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within a minute")
