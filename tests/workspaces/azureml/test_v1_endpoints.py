"""Publishing and submitting with the real azureml-pipeline: what reaches the service, and what comes back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_training.workspaces.azureml.service import PublishRequest, StepCode
from model_training.workspaces.azureml.step_environment import IMAGE
from scoring.errors import ConflictError, NotFoundError, OfflineError, UsageError
from tests.workspaces.azureml.remote import Remote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

NAME = "automl_for_images_training_pipeline"
PARAMETERS = {"dataset_name": "", "model_name": "", "cluster": "gpu-cluster"}
GIVEN = {"dataset_name": "caps", "model_name": "Cap_Detection_Model", "cluster": "gpu-cluster"}


def request(folder: Path, name: str = NAME, **properties: str) -> PublishRequest:
    step = StepCode(
        folder=folder,
        script="model_training/step.py",
        arguments=("--sdk", "v1"),
        environment="automl_for_images_training_env",
        requirements=folder / "requirements" / "step.txt",
        python="3.11",
        compute="cpu-cluster",
    )
    return PublishRequest(name, "Trains a detector", step, PARAMETERS, properties)


def published_body(azure: FakeAzure, version: int = 0) -> dict[str, Any]:
    body: dict[str, Any] = azure.state.endpoints[NAME].versions[version].body
    return body


def module_of(azure: FakeAzure) -> dict[str, Any]:
    (node,) = published_body(azure)["Graph"]["ModuleNodes"]
    found: dict[str, Any] = azure.state.own["v1"]["modules"][node["ModuleId"]]
    return found


def test_the_published_pipeline_is_one_step_with_exactly_the_three_parameters(
    azure: FakeAzure, v1: Remote, step_folder: Path
) -> None:
    before = len(v1.said())
    published = v1.publish(request(step_folder, build_id="17"))
    assert (published.version, published.properties) == (0, {"build_id": "17"})
    assert published.created_at.endswith("Z")
    body = published_body(azure)
    assert len(body["Graph"]["ModuleNodes"]) == 1
    assert {each["Name"]: each["DefaultValue"] for each in body["GraphInterface"]["Parameters"]} == PARAMETERS
    assert body["Version"] == "17"
    assert (body["Graph"]["DatasetNodes"], body["Graph"]["Edges"]) == ([], [])
    assert "deprecated" not in v1.said()[before:], "what the SDK says about itself is not for people"
    azure.assert_clean()


def test_the_step_is_the_script_with_each_parameter_bound_on_the_cpu_cluster(
    azure: FakeAzure, v1: Remote, step_folder: Path
) -> None:
    v1.publish(request(step_folder))
    (node,) = published_body(azure)["Graph"]["ModuleNodes"]
    parameters = {each["Name"]: each.get("Value") for each in node["ModuleParameters"]}
    assert (parameters["Script"], parameters["Target"]) == ("model_training/step.py", "cpu-cluster")
    bound = {each["Name"]: each["Value"] for each in node["ModuleParameters"] if each["ValueType"] == "1"}
    assert bound == {name: name for name in PARAMETERS}
    module = module_of(azure)
    assert module["IsDeterministic"] is False, "an earlier result is never reused"
    arguments = [(each["ValueType"], each["Value"]) for each in module["StructuredInterface"]["Arguments"]]
    words = [("Literal", "--sdk"), ("Literal", "v1")]
    for name in PARAMETERS:
        words += [("Literal", f"--{name.replace('_', '-')}"), ("Parameter", name)]
    assert arguments == words


def test_the_step_runs_the_staged_files_with_the_pinned_packages_alone(
    azure: FakeAzure, v1: Remote, step_folder: Path
) -> None:
    from tests.fake_azure.v1.snapshots import files_of

    v1.publish(request(step_folder))
    expected = {str(f.relative_to(step_folder)): f.read_bytes() for f in step_folder.rglob("*") if f.is_file()}
    assert files_of(azure, module_of(azure)["StorageId"]) == expected
    (node,) = published_body(azure)["Graph"]["ModuleNodes"]
    configuration = node["Runconfig"]
    assert "automl_for_images_training_env" in configuration
    assert IMAGE in configuration and "python=3.11" in configuration
    assert re.search(r"azure-ai-ml==1\.35\.2", configuration) and re.search(r"numpy==2\.3\.5\b", configuration)
    assert "azureml-defaults" not in configuration and "anaconda" not in configuration
    assert "index-url" not in configuration


def test_nothing_of_the_git_remote_is_stored(azure: FakeAzure, v1: Remote, step_folder: Path) -> None:
    """A remote's address can hold a token."""
    v1.publish(request(step_folder, git_commit="abc"))
    assert published_body(azure)["Properties"] == {"git_commit": "abc"}
    assert module_of(azure)["Properties"] == {"git_commit": "abc"}


def test_publishing_again_adds_a_version_and_leaves_the_default(
    azure: FakeAzure, v1: Remote, step_folder: Path
) -> None:
    v1.publish(request(step_folder, build_id="17"))
    second = v1.publish(request(step_folder, build_id="18"))
    assert second.version == 1
    found = v1.endpoint(NAME)
    assert (found.name, found.default_version, found.description) == (NAME, 0, "Trains a detector")
    assert {number: each.properties for number, each in found.versions.items()} == {
        0: {"build_id": "17"},
        1: {"build_id": "18"},
    }
    v1.set_default(NAME, 1)
    assert v1.endpoint(NAME).default_version == 1
    v1.set_default(NAME, 0)
    assert v1.endpoint(NAME).default_version == 0
    azure.assert_clean()


def test_every_endpoint_is_listed(v1: Remote, step_folder: Path) -> None:
    names = [f"train_{letter}" for letter in "ab"]
    for name in names:
        v1.publish(request(step_folder, name))
    assert [found.name for found in v1.endpoints()] == names


def test_a_submitted_endpoint_is_a_run_with_the_parameters(azure: FakeAzure, v1: Remote, step_folder: Path) -> None:
    v1.publish(request(step_folder))
    run = v1.submit(NAME, version=None, experiment="cap_detection", parameters=GIVEN)
    assert (run.status, run.experiment) == ("NotStarted", "cap_detection")
    record = azure.state.runs[run.id]
    assert (record.parameters, record.extra["version"]) == (GIVEN, 0)
    (call,) = azure.requests.find("POST", "PipelineEndpointSubmit")
    assert call.body["ParameterAssignments"] == GIVEN
    assert [child.parent for child in v1.children(run.id)] == [run.id]


def test_a_version_is_submitted_when_it_is_named(azure: FakeAzure, v1: Remote, step_folder: Path) -> None:
    for build in "12":
        v1.publish(request(step_folder, build=build))
    runs = [v1.submit(NAME, version=v, experiment="e", parameters=GIVEN) for v in (1, 0, None)]
    assert [azure.state.runs[run.id].extra["version"] for run in runs] == [1, 0, 0]


def test_its_address_for_rest_is_the_services_own(azure: FakeAzure, v1: Remote, step_folder: Path) -> None:
    v1.publish(request(step_folder))
    url = v1.endpoint(NAME).rest_url
    assert url.startswith("https://") and azure.state.endpoints[NAME].id in url


@pytest.mark.parametrize("version", [7, -1])
def test_an_unknown_version_names_those_there_are(v1: Remote, step_folder: Path, version: int) -> None:
    v1.publish(request(step_folder))
    with pytest.raises(NotFoundError, match="versions: 0"):
        v1.submit(NAME, version=version, experiment="e", parameters=GIVEN)
    with pytest.raises(NotFoundError, match="versions: 0"):
        v1.set_default(NAME, version)


def test_an_unknown_endpoint_is_named(v1: Remote) -> None:
    for call in (lambda: v1.endpoint("nowhere"), lambda: v1.set_default("nowhere", 1)):
        with pytest.raises(NotFoundError, match="no pipeline endpoint 'nowhere'"):
            call()


def test_a_cluster_that_is_not_there_is_said_before_anything_is_uploaded(
    azure: FakeAzure, v1: Remote, step_folder: Path
) -> None:
    asked = request(step_folder)
    with pytest.raises(NotFoundError, match="tiny-cluster"):
        v1.publish(replace(asked, step=replace(asked.step, compute="tiny-cluster")))
    assert not azure.requests.find("POST", "snapshots")


def test_a_pin_that_is_none_is_refused(azure: FakeAzure, v1: Remote, step_folder: Path) -> None:
    (step_folder / "requirements" / "step.txt").write_text("--extra-index-url https://example.invalid\n")
    with pytest.raises(UsageError, match="expected name==version"):
        v1.publish(request(step_folder))
    assert not azure.state.endpoints


def test_a_connection_that_breaks_while_code_is_uploaded_is_made_again(
    azure: FakeAzure, v1: Remote, step_folder: Path
) -> None:
    from tests.fake_azure.v1.snapshots import files_of

    azure.fail_next("PUT", r"blob\.core\.windows\.net.*step\.py", "drop")
    v1.publish(request(step_folder))
    assert files_of(azure, module_of(azure)["StorageId"])["model_training/step.py"] == b"print('step')\n"
    azure.assert_clean()


def test_one_that_breaks_for_good_publishes_nothing(azure: FakeAzure, v1: Remote, step_folder: Path) -> None:
    azure.fail_next("PUT", r"blob\.core\.windows\.net.*step\.py", "drop", times=99)
    with pytest.raises(OfflineError, match="while publishing"):
        v1.publish(request(step_folder))
    assert azure.faults.left[0].used and not azure.state.endpoints
    kept = azure.state.own.get("v1", {})
    assert not kept.get("snapshots") and not kept.get("pipelines")
    azure.faults.clear()
    assert v1.publish(request(step_folder)).version == 0


def test_two_who_publish_at_once_are_told(azure: FakeAzure, v1: Remote, step_folder: Path) -> None:
    """The service keeps one of them; the other publishes again and has its own version."""
    v1.publish(request(step_folder))
    azure.fail_next("PUT", r"/PipelineEndpoints/", 409)
    with pytest.raises(ConflictError):
        v1.publish(request(step_folder))
    assert v1.publish(request(step_folder)).version == 1
