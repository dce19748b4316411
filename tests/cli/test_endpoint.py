"""`cva endpoint …` as a person types it: publish, choose, submit, serve."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from model_training import pipeline
from model_training.cli.main import main
from model_training.pipeline import Registered
from model_training.workspaces.base import Event, Reporter
from model_training.workspaces.local import LocalWorkspace
from tests.contracts.bundles import decision, tiny_bundle
from tests.contracts.workspace_contract import JOB, TASK, pictures, winner

SUBMIT = ("submit", "--dataset-name", "caps", "--model-name", "Cap_Detection_Model")


@pytest.fixture
def workspace(tmp_path: Path) -> LocalWorkspace:
    """The one that the command line finds, with a dataset."""
    workspace = LocalWorkspace.open()
    workspace.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)
    return workspace


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yml"
    path.write_text(JOB)
    return path


def cva(*arguments: object) -> int:
    return main(["endpoint", *map(str, arguments)])


def last_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return value


def publish(job: Path, *more: str) -> None:
    assert cva("publish", "--name", "train_caps", "--template", job, *more) == 0


def test_publishing_takes_names_and_template_from_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert cva("publish") == 0
    said = last_json(capsys)
    assert (said["endpoint"], said["version"]) == ("automl_for_images_training_pipeline", 1)
    published = LocalWorkspace.open().endpoints.version(said["endpoint"])
    assert "type: automl" in published.template
    assert published.properties == {"template": "object_detection.yml"}


def test_versions_are_added_shown_and_chosen(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(job, "--description", "first")
    publish(job, "--no-default", "--property", "build=17")
    assert last_json(capsys)["default_version"] == 1
    assert cva("set-default", "train_caps", 2) == 0
    assert cva("show") == 0
    shown = capsys.readouterr().out
    assert re.search(r"2\s+default", shown)
    assert "POST /endpoints/train_caps/submit" in shown
    assert main(["--json", "endpoint", "show", "train_caps"]) == 0
    versions = last_json(capsys)["versions"]
    assert [version["version"] for version in versions] == [1, 2]
    assert versions[1]["properties"] == {"template": "job.yml", "build": "17"}
    assert main(["--json", "endpoint", "list"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["versions"] == [1, 2]


def test_the_commit_of_the_template_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "job.yml").write_text(JOB)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q"], ["add", "job.yml"], [*identity, "commit", "-qm", "job"]):
        subprocess.run(["git", "-C", str(project), *command], check=True)
    publish(project / "job.yml")
    commit = last_json(capsys)["git_commit"]
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (project / "job.yml").write_text(JOB + "# changed\n")
    publish(project / "job.yml")
    assert last_json(capsys)["git_commit"] == commit + "+"


def test_a_submission_trains_registers_and_says_so(
    workspace: LocalWorkspace,
    job: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def step(workspace: LocalWorkspace, template: Any, *, reporter: Reporter, **asked: Any) -> Registered:
        assert template.budget_minutes == 2
        reporter(Event("stage", "train a little"))
        bundle, allowed = tiny_bundle(tmp_path / "bundle"), decision()
        model = workspace.models.register(bundle, allowed, name=asked["model_name"], run_id=asked["run_id"])
        dataset = workspace.datasets.get(asked["dataset_name"])
        report = workspace.runs.get(asked["run_id"]).folder / "report" / "index.html"
        return Registered(model, allowed, bundle, winner(tmp_path), dataset, workspace.datasets.split(dataset), report)

    monkeypatch.setattr(pipeline, "train_and_register", step)
    publish(job)
    capsys.readouterr()
    assert cva(*SUBMIT, "--cluster", "local", "--experiment", "cap_detection", "--budget-minutes", "2") == 0
    text = capsys.readouterr().out
    said = json.loads(text.splitlines()[-1])
    assert "==> train a little" in text
    assert "Cap_Detection_Model:1 (champion): mean average precision 0.75, precision 0.8, recall undefined" in text
    assert (said["model"], said["version"], said["champion"]) == ("Cap_Detection_Model", 1, True)
    assert said["metrics"]["mean_average_precision"] == 0.75
    assert Path(said["paths"]["model"], "model.onnx").is_file()
    run = workspace.runs.get(said["run"])
    assert (run.status, run.experiment) == ("Completed", "cap_detection")


def test_a_dry_run_checks_and_starts_nothing(
    workspace: LocalWorkspace, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(job)
    assert cva(*SUBMIT, "--dry-run") == 0
    assert last_json(capsys)["dataset"] == "caps:1"
    assert list(workspace.runs.list()) == []


def test_hours_are_warned_of_where_there_is_neither_budget_nor_gpu(
    workspace: LocalWorkspace, job: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(job)
    monkeypatch.setattr("model_training.sweep.processes.visible_gpus", lambda: ())
    assert cva(*SUBMIT, "--dry-run") == 0
    assert "--budget-minutes" in capsys.readouterr().err
    assert cva(*SUBMIT, "--dry-run", "--budget-minutes", "10") == 0
    assert "--budget-minutes" not in capsys.readouterr().err


def test_not_waiting_returns_the_run_at_once(
    workspace: LocalWorkspace, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(job)
    assert cva(*SUBMIT, "--no-wait", "--compute-name", "local") == 0
    captured = capsys.readouterr()
    run = json.loads(captured.out.splitlines()[-1])["run"]
    assert "--compute-name is the older name" in captured.err
    assert workspace.runs.get(run).parameters["cluster"] == "local"
    workspace.runs.cancel(run)
    while workspace.runs.get(run).status != "Canceled":  # leave no process behind
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("submit", "--dataset-name", "nothing", "--model-name", "M"), 1, "there is no dataset 'nothing'"),
        ((*SUBMIT, "--cluster", "gpu-cluster"), 1, "clusters: local"),
        ((*SUBMIT, "--endpoint", "other"), 1, "endpoints: train_caps"),
        ((*SUBMIT, "--pipeline-version", "7"), 1, "versions: 1"),
        ((*SUBMIT, "--experiment", "a b"), 2, "experiment 'a b'"),
        (("submit", "--dataset-name", "caps", "--model-name", "a/b"), 2, "model 'a/b'"),
        (("publish", "--template", "no.yml"), 1, "there is no job file no.yml"),
        (("publish", "--property", "x"), 2, "expected KEY=VALUE"),
        (("set-default", "train_caps", "9"), 1, "versions: 1"),
        (("execute", "no-such-run"), 1, "there is no run"),
        (("serve", "--host", "0.0.0.0"), 2, "expected keys, found none"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_starts(
    workspace: LocalWorkspace,
    job: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    publish(job)
    capsys.readouterr()
    assert cva(*arguments) == code
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
    assert list(workspace.runs.list()) == []


def test_without_an_endpoint_it_says_how_to_publish(
    workspace: LocalWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cva(*SUBMIT) == 1
    assert "cva endpoint publish" in capsys.readouterr().err


def test_of_several_endpoints_one_must_be_named(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(job)
    assert cva("publish", "--name", "other", "--template", job) == 0
    assert cva("show") == 1
    assert "other, train_caps" in capsys.readouterr().err


def test_serving_answers_with_a_key_until_it_is_interrupted(
    workspace: LocalWorkspace, job: Path, tmp_path: Path
) -> None:
    publish(job)
    keys = tmp_path / "keys"
    keys.write_text("a-key-of-this-test\n")
    keys.chmod(0o600)
    command = [sys.executable, "-m", "model_training", "endpoint", "serve", "--port", "0"]
    environment = {**os.environ, "CVA_KEYS_FILE": str(keys), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        request = urllib.request.Request(
            f"{found[0]}/endpoints", headers={"Authorization": "Bearer a-key-of-this-test"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["value"][0]["Name"] == "train_caps"
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "a-key-of-this-test" not in line + rest
