"""`cva endpoint …` with `--workspace azureml`: what is asked of the service, what a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from model_training.cli import endpoint_azure
from model_training.workspaces.azureml.service import Place
from scoring.errors import OfflineError, UnavailableError
from tests.cli.azure_cli import ENDPOINT, Shell, caps, make_small, shell
from tests.contracts.bundles import decision, tiny_bundle
from tests.workspaces.azureml.azure_parts import opened

__all__ = ["caps", "shell"]

MODEL = "Cap_Detection_Model"
SUBMIT = ("endpoint", "submit", "--dataset-name", "caps", "--model-name", MODEL)
RESULT = {"model": MODEL, "version": 3, "metrics": {"mean_average_precision": 0.75, "images": 4, "split": "test"}}


def only_run(shell: Shell) -> str:
    (run_id,) = [name for name in shell.cloud.runs.records if name.startswith("pipeline-")]
    return run_id


def raising(error: Exception | type[BaseException]) -> Any:
    def event() -> None:
        raise error

    return event


# publishing ---------------------------------------------------------------------------------------------------------


def test_versions_are_published_chosen_and_shown(shell: Shell) -> None:
    first = shell.cva("endpoint", "publish", "--property", "build_id=17")
    second = shell.cva("endpoint", "publish", "--no-default", "--property", "build_id=18")
    assert (first["version"], second["version"], second["default_version"]) == (0, 1, 0)
    assert shell.cva("endpoint", "set-default", ENDPOINT, "1")["before"] == 0
    (listed,) = shell.cva("endpoint", "list")
    assert listed == {"endpoint": ENDPOINT, "default_version": 1, "versions": [0, 1]}
    shown = shell.cva("endpoint", "show")
    assert [each["properties"]["build_id"] for each in shown["versions"]] == ["17", "18"]
    assert (shown["kind"], shown["parameters"]) == ("training", ["dataset_name", "model_name", "cluster"])
    assert "type: automl" in shown["versions"][0]["template"]


def test_the_settings_say_which_workspace_and_which_generation(shell: Shell) -> None:
    text = "variables:\n- {name: SUBSCRIPTION_ID, value: 50b5c419-0000-4000-8000-000000000001}\n"
    text += "- {name: RESOURCE_GROUP, value: rg}\n- {name: WORKSPACE_NAME, value: caps-aml}\n"
    text += "- {name: AZUREML_SDK, value: v2}\n"
    (shell.folder / "variable_template.yml").write_text(text)
    shell.cva("endpoint", "list")
    assert shell.connected == [(Place("50b5c419-0000-4000-8000-000000000001", "rg", "caps-aml"), "v2")]


def test_what_a_person_should_know_is_said_before_it_is_published(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_training.publishing.untracked", lambda root=None: ["model_training/new.py"])
    _, err = shell.said("endpoint", "publish")
    for part in ("support ended on 30 June 2026", "AGPL", "git does not know model_training/new.py"):
        assert part in err
    _, err = shell.said("endpoint", "publish", "--kind", "batch-scoring")
    assert "AGPL" not in err


def test_a_template_with_faults_publishes_nothing(shell: Shell) -> None:
    (shell.folder / "job.yml").write_text("type: automl\ntask: image_object_detection\n")
    error = shell.cva("endpoint", "publish", "--template", "job.yml", code=2)["error"]
    assert error["type"] == "UsageError"
    assert "publish" not in shell.service.calls
    said = shell.cva("endpoint", "publish", "--kind", "batch-scoring", "--template", "job.yml", code=2)["error"]
    assert "--template is a training job's" in said["message"]


# submitting ---------------------------------------------------------------------------------------------------------


def test_a_submission_returns_at_once_with_its_link(caps: Shell) -> None:
    out, _ = caps.said(*SUBMIT, "--experiment", "cap_detection")
    run_id = only_run(caps)
    assert f"https://ml.azure.com/runs/{run_id}" in out
    assert f"cva job show {run_id} --workspace azureml" in out
    facts = caps.cloud.runs.get(run_id).facts
    assert (facts.status, facts.experiment) == ("NotStarted", "cap_detection")
    shown = caps.cva("job", "show", run_id)
    wanted = {"dataset_name": "caps", "model_name": MODEL, "cluster": "gpu-cluster"}
    assert shown["parameters"] == {**wanted, "endpoint": ENDPOINT, "endpoint_version": "0"}


def test_the_older_name_of_the_cluster_is_taken_with_a_warning(caps: Shell) -> None:
    _, err = caps.said(*SUBMIT, "--compute-name", "cpu-cluster")
    assert "--compute-name is the older name of --cluster" in err
    assert caps.cva("job", "show", only_run(caps))["parameters"]["cluster"] == "cpu-cluster"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--register", "if-better"), 2, "--register: only for runs of this machine"),
        (("--budget-minutes", "5", "--model-size", "nano", "--new"), 2, "--budget-minutes, --model-size, --new"),
        (("--cluster", "gpu"), 1, "clusters: cpu-cluster, gpu-cluster"),
        (("--dataset-name", "cups"), 1, "there are: caps"),
        (("--dataset-name", "caps:4"), 1, "versions: 1"),
        (("--dataset-name", "caps-train:1"), 1, "is a part of caps"),
        (("--model-name", "a/b"), 2, "a/b"),
        (("--experiment", "a b"), 2, "a b"),
        (("--pipeline-version", "7"), 1, "versions: 0"),
        (("--endpoint", "other"), 1, f"endpoints: {ENDPOINT}"),
        (("--wait", "--no-wait"), 2, "not allowed with argument"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["submit", "dry run"])
def test_what_is_wrong_is_said_before_anything_is_spent(
    caps: Shell, words: tuple[str, ...], code: int, says: str, dry: tuple[str, ...]
) -> None:
    """A dry run finds what a submission finds."""
    error = caps.cva(*SUBMIT, *words, *dry, code=code)["error"]
    assert says in f"{error['message']} {error['hint']}"
    assert "submit" not in caps.service.calls


def test_a_retired_size_is_refused_with_its_successor(caps: Shell) -> None:
    make_small(caps, "gpu-cluster", "STANDARD_NC6")
    error = caps.cva(*SUBMIT, code=2)["error"]
    assert "retired" in error["message"] and "NC4as_T4_v3" in error["hint"]


def test_a_dry_run_starts_nothing(caps: Shell) -> None:
    plan = caps.cva(*SUBMIT, "--dry-run")
    assert plan["dry_run"] and (plan["dataset"], plan["cluster"]) == ("caps:1", "gpu-cluster")
    assert not {"submit", "tag_run"} & set(caps.service.calls)


def test_an_answer_that_is_lost_after_the_submission_says_that_there_is_one(
    caps: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the person submits, and pays, twice."""
    monkeypatch.setattr("model_training.workspaces.azureml.runs.SUBMITTED_WAITS", ())
    caps.at_each("tag_run", raising(OfflineError("the network is gone")))
    error = caps.cva(*SUBMIT, code=1)["error"]
    assert f"run {only_run(caps)} is submitted, but: the network is gone" in error["message"]
    assert "do not submit it again" in error["hint"]


# waiting ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_azure, "SECONDS", 0.0)


def events_of_the_run(shell: Shell, *events: Any) -> None:
    """At each look at the run, from the first that waiting takes; the two before say how it was submitted."""
    shell.at_each("run", lambda: None, lambda: None, *events)


@pytest.mark.usefixtures("quick")
def test_waiting_follows_it_to_its_model(caps: Shell) -> None:
    run = "pipeline-0"
    events_of_the_run(
        caps,
        caps.ended(run, "Running"),
        raising(OfflineError("the network is gone")),
        raising(UnavailableError("busy", retry_after=0)),
        caps.ended(run, "Completed", RESULT),
    )
    out, err = caps.said(*SUBMIT, "--wait")
    assert only_run(caps) == run
    assert "the network is gone; asking again" in err
    for part in ("Running", "Completed", f"{MODEL}:3: mean average precision 0.75"):
        assert part in out


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("status", "error"), [("Failed", "no quota for NC4as"), ("Canceled", "")])
def test_waiting_for_one_that_does_not_end_well_fails(caps: Shell, status: str, error: str) -> None:
    events_of_the_run(caps, caps.ended("pipeline-0", status, error=error))
    told = caps.cva(*SUBMIT, "--wait", code=1)["error"]
    assert told["message"] == f"run pipeline-0 {status.lower()}: {error or 'see its log'}"
    assert "cva job show pipeline-0" in told["hint"]


@pytest.mark.usefixtures("quick")
def test_who_stops_waiting_is_told_that_it_goes_on(caps: Shell) -> None:
    """`the same command goes on` would be wrong here: it would train a second time."""
    events_of_the_run(caps, raising(KeyboardInterrupt))
    error = caps.cva(*SUBMIT, "--wait", code=130)["error"]
    assert error["message"] == "run pipeline-0 goes on; nothing waits for it any more"
    assert caps.cloud.runs.get("pipeline-0").facts.status == "NotStarted"


def test_cancelling_ends_the_run_and_the_automl_run_of_its_step(caps: Shell) -> None:
    caps.said(*SUBMIT)
    run = only_run(caps)
    caps.cloud.runs.start("step", "caps", "Running", {}, parent=run)
    automl = caps.cloud.runs.start("AutoML_1", "caps", "Running", {"cva_run": "step"}).id
    other = caps.cloud.runs.start("AutoML_2", "caps", "Running", {"cva_run": "another"}).id
    assert caps.cva("job", "cancel", run)["status"] == "Canceled"
    states = {name: caps.cloud.runs.get(name).facts.status for name in ("step", automl, other)}
    assert states == {"step": "Canceled", automl: "Canceled", other: "Running"}


def test_an_earlier_try_s_error_does_not_stand_on_a_run_that_completed(caps: Shell) -> None:
    caps.said(*SUBMIT)
    run = only_run(caps)
    caps.cloud.runs.tag(run, {"cva_error": "the step was told to stop"})
    assert caps.cva("job", "show", run)["error"] == "the step was told to stop"
    caps.ended(run, "Completed", RESULT)()
    assert caps.cva("job", "show", run)["error"] == ""


# batch scoring ------------------------------------------------------------------------------------------------------


def test_batch_scoring_asks_for_a_model_and_for_no_cluster(caps: Shell) -> None:
    scoring = f"{ENDPOINT}_batch_scoring"
    assert caps.cva("endpoint", "publish", "--kind", "batch-scoring")["endpoint"] == scoring
    assert caps.cva("endpoint", "show", scoring)["parameters"] == ["dataset_name", "model_name"]
    refused = caps.cva(*SUBMIT, "--endpoint", scoring, code=1)["error"]
    assert f"{MODEL!r}" in refused["message"] and "submit" not in caps.service.calls

    models = opened(caps.cloud, caps.folder / "trainer", "v1")[0].models
    models.register(tiny_bundle(caps.folder / "bundle"), decision(), name=MODEL, run_id="a")
    assert "cluster" not in caps.cva(*SUBMIT, "--endpoint", scoring, "--dry-run")
    caps.said(*SUBMIT, "--endpoint", scoring)
    assert "cluster" not in caps.cva("job", "show", only_run(caps))["parameters"]
    assert "clusters" not in caps.service.calls
