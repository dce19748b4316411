"""What goes wrong below a published endpoint, with the real SDKs and the real step: said in the run, nothing half-made.

One endpoint and one data set a generation, and every run over REST, which checks nothing before. The generations share
the rows: what is the SDK's own is in both, what is the step's is in one.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_training.workspaces.azureml.service import STARTED_TAG
from tests.end_to_end import rest
from tests.end_to_end.conftest import Shell
from tests.end_to_end.node import Node, step_of
from tests.end_to_end.test_azure import ENDPOINT, MODEL, trained
from tests.fake_azure.state import DataRecord
from tests.fake_azure.v2.automl import Outcome, Trial, script
from tests.packaging.automl_exports import draw

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure
    from tests.fake_azure.state import RunRecord

GIVEN = {"dataset_name": "caps", "model_name": MODEL, "cluster": "gpu-cluster"}
SECRET = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|[?&]sig=[^&\s<]|AccountKey=|SharedAccessSignature|PRIVATE KEY")
PATIENCE = 400  # seconds, on a machine that does other things, too
SHORT = (1, 13)  # seconds: of a token's life as a client is told, and what it has beyond; looks are 15 apart


class Stage:
    """Everything that the tests of one generation do, and what its processes said."""

    def __init__(self, azure: FakeAzure, shell: Shell, python: str, folder: Path) -> None:
        self.azure, self.shell, self.python, self.folder = azure, shell, python, folder
        self.said: list[str] = []

    def ask(self, **parameters: str) -> str:
        return rest.submit(self.azure, ENDPOINT, **{**GIVEN, **parameters})

    def node(self, name: str) -> Node:
        return Node(self.azure, self.python, self.folder / name)

    def fails(self, run: str) -> str:
        """The step's own words; the service says only that it failed."""
        out, err = self.node(f"node-{run[:6]}").run(run, good=False)
        self.said += [out, err]
        assert "Traceback" not in err, err
        return err

    def automl(self) -> list[RunRecord]:
        return [run for run in self.azure.state.runs.values() if run.kind == "automl"]

    def until_automl_runs(self, process: subprocess.Popen[str]) -> None:
        before = len(self.automl())
        self.until(process, lambda: len(self.automl()) > before and is_waited_for(self.automl()[-1]))

    def until(self, process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not reached():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise AssertionError(process.communicate(timeout=60))
            time.sleep(0.1)

    def noted(self, run: str) -> str:
        """What stands in the run that people look at, and in its step."""
        above, below = self.azure.state.runs[run], step_of(self.azure, run)
        assert above.tags.get("cva_error") == below.tags.get("cva_error")
        return above.tags.get("cva_error", "")


def is_waited_for(run: RunRecord) -> bool:
    """SDK v1 makes a run, tags it, starts it and says so, each in a call of its own."""
    return run.extra["looks"] > 0 and (run.id.startswith("automl_") or STARTED_TAG in run.tags)


@pytest.fixture
def stage(azure: FakeAzure, shell: Shell, step_python: str, tmp_path: Path, sdk: str) -> Stage:
    if sdk == "v1":
        azure.state.keep_keys()  # where AutoML goes through v1, too; without keys: test_keyless.py
    draw(shell.folder / "pictures", "p", 40, 1)
    shell.cva("data", "import", "pictures/p.jsonl", "--format", "jsonl", "--name", "caps")
    shell.cva("endpoint", "publish")
    return Stage(azure, shell, step_python, tmp_path / "nodes")


def test_what_fails_says_why_and_what_is_tried_again_is_done_once(stage: Stage, sdk: str) -> None:
    a_name_that_is_not_there(stage, sdk)
    automl_that_fails(stage)
    nodes_that_come_and_go(stage)
    a_run_that_is_cancelled(stage)
    a_second_training_that_is_no_better(stage, sdk)
    what_was_published(stage, sdk)
    every_image_is_scored(stage)
    check_no_secret_was_said(stage)
    stage.azure.assert_clean()


def a_name_that_is_not_there(stage: Stage, sdk: str) -> None:
    """The data set (v1), the cluster (v2): found by the step itself, before anything is spent."""
    wrong, says = ({"dataset_name": "cups"}, "there is no dataset 'cups'")
    if sdk == "v2":
        wrong, says = (
            {"cluster": "big-cluster"},
            "there is no cluster 'big-cluster'; clusters: cpu-cluster, gpu-cluster",
        )
    run = stage.ask(**wrong)
    assert f"the step failed: {says}" in stage.fails(run)
    shown: Any = stage.shell.cva("job", "show", run)
    assert shown["status"] == "Failed" and says in shown["error"]
    assert stage.noted(run) == shown["error"]
    assert not stage.azure.state.models and not stage.automl()


def automl_that_fails(stage: Stage) -> None:
    """The words are those of the trial that it failed in, not "one or more children failed"."""
    child = Trial(status="Failed", error="CUDA out of memory: take a smaller training_batch_size")
    script(stage.azure.state, Outcome([child], best=None, status="Failed", error="a child failed", looks=0))
    run = stage.ask()
    err = stage.fails(run)
    assert "CUDA out of memory: take a smaller training_batch_size" in err
    assert "CUDA out of memory" in stage.noted(run)
    assert not stage.azure.state.models


def nodes_that_come_and_go(stage: Stage) -> None:
    """One is lost, the next is told to stop; Azure starts the step again elsewhere: the same run, an empty disk."""
    run, before = stage.ask(), len(stage.automl())
    process = stage.node("lost").start(run)
    stage.until_automl_runs(process)
    process.kill()
    process.communicate(timeout=60)
    a_step_that_is_told_to_stop(stage, run)
    assert len(stage.automl()) == before + 1, "it went on with the run that the lost one had begun"
    script(stage.azure.state, trained(stage.folder / "left"))
    stage.said += stage.node("another").run(run)
    assert len(stage.automl()) == before + 2, "what was cancelled with its step is no result"
    assert list(stage.azure.state.models[MODEL]) == [1]
    assert stage.azure.state.models[MODEL][1].tags["run_id"] == step_of(stage.azure, run).id
    assert stage.shell.cva("job", "show", run)["error"] == ""


def a_step_that_is_told_to_stop(stage: Stage, run: str) -> None:
    """Cancelled in the studio, or its node is taken away: Azure ML sends SIGTERM, and no GPU run may go on alone."""
    automl, looks = stage.automl()[-1], stage.automl()[-1].extra["looks"]
    process = stage.node("stopped").start(run)
    stage.until(process, lambda: automl.extra["looks"] >= looks + 2)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    stage.said += [out, err]
    assert process.returncode == 130
    assert "the step failed: the step was told to stop" in err and "Traceback" not in err
    assert automl.status in ("CancelRequested", "Canceled")
    assert f"cancelled AutoML run {automl.id}" in out
    assert "told to stop" in stage.noted(run)
    assert not stage.azure.state.models


def a_run_that_is_cancelled(stage: Stage) -> None:
    """By the command line: the run and the AutoML run that its step waits for."""
    run = stage.ask()
    process = stage.node("cancelled").start(run)
    stage.until_automl_runs(process)
    assert stage.shell.cva("job", "cancel", run)["status"] in ("CancelRequested", "Canceled")
    assert stage.automl()[-1].status in ("CancelRequested", "Canceled")
    out, err = process.communicate(timeout=PATIENCE)
    stage.said += [out, err]
    assert process.returncode == 130
    assert "was cancelled" in err and "Traceback" not in err  # whichever of the two runs it saw first
    assert list(stage.azure.state.models[MODEL]) == [1]


def a_second_training_that_is_no_better(stage: Stage, sdk: str) -> None:
    """Every token ends while it waits. With v2 it is trained on what a labelling project left in v1's registry."""
    tokens, before = stage.azure.tokens, len(stage.azure.requests)
    usual, (tokens.lifetime, tokens.skew) = (tokens.lifetime, tokens.skew), SHORT
    run = stage.ask(dataset_name="caps" if sdk == "v1" else labelled(stage))
    node = stage.node("second")
    process = node.start(run)
    stage.until_automl_runs(process)
    automl = stage.automl()[-1]
    looks = automl.extra["looks"] + (2 if sdk == "v1" else 1)  # it ends after the first look, not at it
    automl.extra["outcome"] = replace(trained(stage.folder / "left again"), looks=looks)
    out, err = process.communicate(timeout=600)
    stage.said += [out, err]
    node.ended(run, process.returncode)
    assert process.returncode == 0, err
    tokens.lifetime, tokens.skew = usual
    asked = Counter(call.query["resource"] for call in list(stage.azure.requests)[before:] if call.path == "/msi/token")
    assert asked and min(asked.values()) > 1, asked
    second = stage.azure.state.models[MODEL][2]
    assert (second.tags["gate"], second.tags.get("champion_since", "")) == ("not_better", "")
    assert second.tags["run_id"] == step_of(stage.azure, run).id


def labelled(stage: Stage) -> str:
    """The name of an export, as the studio leaves it: a tabular data set whose images lie where they were captured."""
    name, store = "cap_detection_20261104_101500", "workspaceblobstore"
    rows = [json.loads(line) for line in draw(stage.folder / "captures", "c", 40, 2).read_text().splitlines()]
    for row in rows:
        picture = (stage.folder / "captures" / row["image_url"]).read_bytes()
        stage.azure.blobs.put(stage.azure.state.default_container, f"captures/{row['image_url']}", picture)
        row["image_url"] = f"AmlDatastore://{store}/captures/{row['image_url']}"
    path = f"Labeling/datacol/{name}.jsonl"
    exported = "".join(json.dumps(row) + "\n" for row in rows)
    stage.azure.blobs.put(stage.azure.state.default_container, path, exported.encode())
    stage.azure.state.datasets[name] = {1: DataRecord(name, 1, "tabular", store, path)}
    return name


def what_was_published(stage: Stage, sdk: str) -> None:
    """One step on the CPU cluster, exactly three parameters, and none of them empty in what was sent."""
    (endpoint,) = stage.azure.state.endpoints.values()
    (version,) = endpoint.versions.values()
    assert set(version.parameters) == set(GIVEN)
    runs = [run for run in stage.azure.state.runs.values() if run.kind == "azureml.PipelineRun"]
    assert len(runs) == 5 and {step_of(stage.azure, run.id).compute for run in runs} == {"cpu-cluster"}
    if sdk == "v2":
        assert len(version.extra["spec"]["jobs"]) == 1
    for model in stage.azure.state.models[MODEL].values():
        assert {"Mean Average Precision", "Precision", "Recall"} <= set(model.tags)


def every_image_is_scored(stage: Stage) -> None:
    """The batch-scoring endpoint: predictions with the run, and in the default datastore."""
    stage.azure.signed_in()  # another AzureCLI@2 step: the id token of the first one lives ten minutes
    named = stage.shell.cva("endpoint", "publish", "--kind", "batch-scoring")["endpoint"]
    words = ("endpoint", "submit", "--endpoint", named, "--dataset-name", "caps", "--model-name")
    assert "'Nobody'" in stage.shell.cva(*words, "Nobody", code=1)["error"]["message"]
    run = stage.shell.cva(*words, MODEL)["run"]
    node = stage.node("scoring")
    out, err = node.run(run)
    stage.said += [out, err]
    result = json.loads(out.splitlines()[-1])
    assert (result["images"], result["failed"], result["model"], result["version"]) == (40, 0, MODEL, 1)
    assert stage.shell.cva("job", "show", run)["predictions"] == result["predictions"]
    kept = (node.folder / "work" / "outputs" / "predictions" / "predictions.jsonl").read_bytes()
    assert len(kept.splitlines()) == 40
    path = result["predictions"].partition("/paths/")[2] + "predictions.jsonl"
    assert stage.azure.blobs.get(stage.azure.state.default_container, path) == kept


def check_no_secret_was_said(stage: Stage) -> None:
    """Not by our processes, not in a tag or a property, not in an address that the fake has logged."""
    records = [*stage.azure.state.runs.values(), *stage.azure.state.models[MODEL].values()]
    kept = [str((record.tags, record.properties)) for record in records]
    requests = stage.azure.requests.file.read_text()
    for text in (*stage.said, *kept, requests):
        assert not SECRET.search(text), SECRET.search(text)
