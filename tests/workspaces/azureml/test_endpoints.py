"""Endpoints of an Azure ML workspace: what is published, what is kept beside it, what a submission must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_training.workspaces.azureml.service import PublishRequest
from model_training.workspaces.azureml.workspace import AzureWorkspace
from scoring.errors import CvaError, NotFoundError, OfflineError, UsageError
from tests.contracts.bundles import decision, tiny_bundle
from tests.contracts.workspace_contract import JOB, TASK, pictures
from tests.workspaces.azureml.azure_parts import opened, staged
from tests.workspaces.azureml.memory import Cloud, MemoryService


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def workspace(cloud: Cloud, tmp_path: Path) -> AzureWorkspace:
    return opened(cloud, tmp_path / "here")[0]


def test_the_step_is_staged_with_its_template_and_told_of(cloud: Cloud, workspace: AzureWorkspace) -> None:
    published = workspace.endpoints.publish("train", JOB, git_commit="abc", properties={"build": "17"})
    assert cloud.code["train", published.version] == {
        "step.py": b"# training abc\n",
        "job.yml": JOB.encode(),
        "step.txt": b"numpy==2.3.5\n",
    }
    about = cloud.published["train"].versions[1].properties
    assert (about["build"], about["cva_git_commit"], about["cva_kind"]) == ("17", "abc", "training")


@pytest.mark.parametrize(
    ("kind", "template", "parameters"),
    [
        ("training", JOB, {"dataset_name": "caps", "model_name": "caps_model", "cluster": "gpu-cluster"}),
        (
            "training",
            JOB.replace("azureml:caps@latest", "azureml:caps-train:3"),
            {"dataset_name": "caps", "model_name": "caps_model", "cluster": "gpu-cluster"},
        ),
        ("batch-scoring", "", {"dataset_name": "dataset", "model_name": "model"}),
    ],
)
def test_it_has_exactly_its_parameters(
    cloud: Cloud,
    tmp_path: Path,
    kind: str,
    template: str,
    parameters: dict[str, str],
) -> None:
    asked: list[PublishRequest] = []

    class Noting(MemoryService):
        def publish(self, request: PublishRequest):  # type: ignore[no-untyped-def]
            asked.append(request)
            return super().publish(request)

    workspace = AzureWorkspace(Noting(cloud), tmp_path / "cache", stage=staged(tmp_path / "staged"))
    published = workspace.endpoints.publish("e", template, kind=kind)
    assert asked[0].parameters == parameters
    assert (published.kind, published.template) == (kind, template)


@pytest.mark.parametrize(("generation", "first"), [("v1", 0), ("v2", 1)])
def test_versions_count_as_the_service_counts_them(cloud: Cloud, tmp_path: Path, generation: str, first: int) -> None:
    workspace, _ = opened(cloud, tmp_path / "x", generation)
    assert workspace.endpoints.publish("train", JOB).version == first
    assert workspace.endpoints.get("train").default_version == first


@pytest.mark.parametrize(
    ("name", "template", "kind"),
    [
        ("a/b", JOB, "training"),
        ("train", JOB.replace("yolov5", "yolov99"), "training"),
        ("train", JOB.replace("experiment_name: caps", "experiment_name: caps.1"), "training"),  # Azure takes no dot
        ("train", JOB, "scoring"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_staged(
    cloud: Cloud, tmp_path: Path, name: str, template: str, kind: str
) -> None:
    workspace, service = opened(cloud, tmp_path / "x")
    with pytest.raises(UsageError):
        workspace.endpoints.publish(name, template, kind=kind)
    assert service.calls == []
    assert not (tmp_path / "x" / "staged").exists()


def test_a_step_publishes_nothing(cloud: Cloud, tmp_path: Path) -> None:
    workspace = AzureWorkspace(MemoryService(cloud), tmp_path)
    with pytest.raises(UsageError, match="publishes nothing"):
        workspace.endpoints.publish("train", JOB)


def test_a_version_without_its_record_is_known_all_the_same(cloud: Cloud, tmp_path: Path) -> None:
    """Publishing was cut off after the service had taken it, or somebody published by other means."""
    workspace, service = opened(cloud, tmp_path / "x")

    def cut(call: str) -> None:
        if call == "blobs.write":
            raise OfflineError("dropped")

    service.network = cut
    with pytest.raises(OfflineError):
        workspace.endpoints.publish("train", JOB, description="finds caps", git_commit="abc")
    service.network = lambda call: None
    found = workspace.endpoints.version("train")
    assert (found.version, found.description, found.git_commit, found.template) == (1, "finds caps", "abc", "")
    assert workspace.endpoints.publish("train", JOB).version == 2


def test_a_submission_says_what_it_asked_for(cloud: Cloud, workspace: AzureWorkspace, tmp_path: Path) -> None:
    workspace.endpoints.publish("train", JOB)
    workspace.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)
    run = workspace.endpoints.submit(
        "train", experiment="caps", dataset_name="caps", model_name="M", cluster="gpu-cluster"
    )
    assert (run.kind, run.experiment, run.status) == ("pipeline", "caps", "NotStarted")
    asked = {"dataset_name": "caps", "model_name": "M", "cluster": "gpu-cluster"}
    assert run.parameters == {**asked, "endpoint": "train", "endpoint_version": "1"}
    assert opened(cloud, tmp_path / "other")[0].runs.list()[0].id == run.id


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"model_name": "caps.2"}, UsageError),
        ({"experiment": "caps.2"}, UsageError),
        ({"dataset_name": "caps-train"}, NotFoundError),
        ({"cluster": "nowhere"}, NotFoundError),
    ],
)
def test_a_wrong_submission_reaches_no_service(
    cloud: Cloud, tmp_path: Path, change: dict[str, str], error: type[CvaError]
) -> None:
    workspace, service = opened(cloud, tmp_path / "x")
    workspace.endpoints.publish("train", JOB)
    workspace.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)
    asked = {"experiment": "e", "dataset_name": "caps", "model_name": "M", "cluster": "gpu-cluster", **change}
    with pytest.raises(error):
        workspace.endpoints.submit("train", **asked)
    assert "submit" not in service.calls


def test_batch_scoring_wants_a_model_that_is_there(workspace: AzureWorkspace, tmp_path: Path) -> None:
    workspace.endpoints.publish("score", "", kind="batch-scoring")
    workspace.datasets.create("caps", pictures(tmp_path / "pictures"), task=TASK)
    asked = {"experiment": "e", "dataset_name": "caps", "model_name": "M@champion", "cluster": ""}
    with pytest.raises(NotFoundError, match="no model 'M'"):
        workspace.endpoints.submit("score", **asked)
    workspace.models.register(tiny_bundle(tmp_path / "b"), decision(), name="M", run_id="r")
    assert workspace.endpoints.submit("score", **asked).parameters["model_name"] == "M@champion"
