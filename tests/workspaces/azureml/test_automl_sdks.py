"""Waiting for an AutoML run through the real clients of both generations: logins, quota, people who cancel."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model_training.jobs.load import parse_job
from model_training.jobs.spec import DataPaths
from model_training.workspaces.azureml.following import Patience
from model_training.workspaces.azureml.submission import STOPPED_TAG
from model_training.workspaces.azureml.workspace import AzureWorkspace
from model_training.workspaces.base import BestTrial, Event
from scoring.errors import CancelledError, NotFoundError, TrainingError
from tests.contracts.workspace_contract import JOB
from tests.workspaces.azureml.memory_runs import ONNX
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure
    from tests.fake_azure.state import RunRecord

STORE = "workspaceblobstore"
COURSE = {"mean_average_precision": [0.25, 0.5]}


@dataclass
class Step:
    """Trains on two registered parts. `meanwhile` is done when it waits for the first time."""

    azure: FakeAzure
    remote: Remote
    folder: Path
    said: list[str]

    def train(self, meanwhile: Callable[[RunRecord], object] = bool) -> BestTrial:
        waits: list[Callable[[RunRecord], object]] = [meanwhile]

        def sleep(seconds: float) -> None:
            if waits and (runs := self.automl()):
                waits.pop()(runs[-1])

        def say(event: Event) -> None:
            self.said.append(event.text)

        workspace = AzureWorkspace(self.remote, self.folder / "cache", patience=Patience(sleep=sleep))
        data = DataPaths(Path("t"), Path("v"), ("cap",), {part: f"caps-{part}:1" for part in ("train", "validation")})
        folder = workspace.cache.run(self.run) / "sweep"
        return workspace.automl.run(parse_job(JOB, "job.yml").on(data), "gpu-cluster", folder=folder, reporter=say)

    def automl(self) -> list[RunRecord]:
        return [run for run in self.azure.state.runs.values() if run.kind == "automl"]

    def __post_init__(self) -> None:
        for part in ("train", "validation"):
            self.remote.register_asset(f"caps-{part}", datastore=STORE, path=f"cva/{part}", tags={})
        self.run = str(self.remote.start_run("caps", tags={}).id)


@pytest.fixture(params=["v1", "v2"])
def step(request: pytest.FixtureRequest, azure: FakeAzure, tmp_path: Path) -> Step:
    azure.state.keep_keys()  # else SDK v1 submits no AutoML
    return Step(azure, request.getfixturevalue(request.param), tmp_path, [])


def trained(looks: int) -> object:
    from tests.fake_azure.v2.automl import Outcome, Trial

    return Outcome([Trial(ONNX, COURSE)], looks=looks)


def test_a_login_that_stumbles_while_it_waits_is_waited_for(step: Step, azure: FakeAzure) -> None:
    """Each call asks for a token anew, as after its hour, and the endpoint says what it says of an unknown identity."""
    from tests.fake_azure.v2.automl import script

    script(azure.state, trained(looks=6))
    azure.tokens.lifetime, azure.tokens.skew = -1, 55
    step.remote.open(step.remote.place)

    def stumbles(run: RunRecord) -> None:
        azure.fail_next("GET", "/msi/token", 400, times=3)

    assert step.train(stumbles).best.metrics == {"mean_average_precision": 0.5}
    assert sum("cannot ask how the run is" in text and "no token now" in text for text in step.said) == 1
    assert len(step.automl()) == 1
    azure.assert_clean()


def test_names_that_are_not_there_are_said_before_anything_is_spent(step: Step, azure: FakeAzure) -> None:
    """By the published step's own code."""
    from model_training import step as published

    workspace = AzureWorkspace(step.remote, step.folder / "cache")
    (step.folder / "job.yml").write_text(JOB)
    given = {"dataset_name": "cups", "model_name": "Caps", "git_commit": "", "job": step.folder / "job.yml"}
    for cluster, says in (
        ("big-cluster", "there is no cluster 'big-cluster'; clusters: cpu-cluster, gpu-cluster"),
        ("gpu-cluster", "there is no dataset 'cups'"),
    ):
        with pytest.raises(NotFoundError, match=says):
            published.train(workspace, step.run, argparse.Namespace(cluster=cluster, **given))
    assert not step.automl() and not azure.state.models


def test_without_quota_it_says_which_to_ask_for(step: Step, azure: FakeAzure) -> None:
    from tests.fake_azure.v2.automl import Outcome, script

    said = "The specified subscription has a total vCPU quota of 0 for the family NCASv3_T4."
    script(azure.state, Outcome(best=None, status="Failed", error=said, looks=1))
    with pytest.raises(TrainingError, match="quota of 0 for the family NCASv3_T4") as raised:
        step.train()
    assert raised.value.hint.startswith("ask for quota of STANDARD_NC4AS_T4_V3 in this region")
    assert "https://ml.azure.com/runs/" in raised.value.hint


def test_what_a_person_cancels_in_the_studio_stays_cancelled(step: Step, azure: FakeAzure) -> None:
    def person(run: RunRecord) -> None:
        run.status = "CancelRequested"

    for _ in ("the step", "and once more"):
        with pytest.raises(CancelledError, match="was cancelled in the workspace"):
            step.train(person)
    (run,) = step.automl()
    assert run.status == "Canceled" and STOPPED_TAG not in run.tags
