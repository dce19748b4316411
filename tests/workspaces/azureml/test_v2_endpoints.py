"""Publishing and submitting with the real azure-ai-ml: what reaches the service, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_training.workspaces.azureml.service import PublishRequest, StepCode
from model_training.workspaces.azureml.step_environment import IMAGE
from model_training.workspaces.azureml.v2.naming import component_name, endpoint_name
from scoring.errors import ConflictError, NotFoundError, UsageError
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
        arguments=("--sdk", "v2"),
        environment="automl_for_images_training_env",
        requirements=folder / "requirements" / "step.txt",
        python="3.11",
        compute="cpu-cluster",
    )
    return PublishRequest(name, "Trains a detector", step, PARAMETERS, properties)


def spec_of(azure: FakeAzure, version: int = 1) -> dict[str, Any]:
    record = azure.state.endpoints[endpoint_name(NAME, azure.state.arm_path)]
    spec: dict[str, Any] = record.versions[version].extra["spec"]
    return spec


def node_of(azure: FakeAzure) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The one node and the specification of the command that it runs."""
    from tests.fake_azure.v2.code import component_of

    (node,) = spec_of(azure)["jobs"].values()
    return node, component_of(azure, node["componentId"])


def test_the_published_pipeline_is_one_command_with_the_three_parameters(
    azure: FakeAzure, v2: Remote, step_folder: Path
) -> None:
    published = v2.publish(request(step_folder, build_id="17"))
    assert (published.version, published.id, published.properties) == (1, "v01", {"build_id": "17"})
    assert published.created_at.endswith("Z")
    spec = spec_of(azure)
    assert {key: each.get("default") for key, each in spec["inputs"].items()} == {
        "dataset_name": None,
        "model_name": None,
        "cluster": "gpu-cluster",
    }
    node, command = node_of(azure)
    assert {key: each["value"] for key, each in node["inputs"].items()} == {
        key: f"${{{{parent.inputs.{key}}}}}" for key in PARAMETERS
    }
    assert node["computeId"].endswith("/computes/cpu-cluster")
    assert node["identity"] == {"identity_type": "Managed"}
    assert command["command"] == (
        "python model_training/step.py --sdk v2 --dataset-name ${{inputs.dataset_name}}"
        " --model-name ${{inputs.model_name}} --cluster ${{inputs.cluster}}"
    )
    azure.assert_clean()


def test_the_step_runs_the_staged_files_with_the_pinned_packages(
    azure: FakeAzure, v2: Remote, step_folder: Path
) -> None:
    from tests.fake_azure.v2.code import files_of

    v2.publish(request(step_folder))
    _, command = node_of(azure)
    uploaded = files_of(azure, command["code"])
    expected = {str(f.relative_to(step_folder)): f.read_bytes() for f in step_folder.rglob("*") if f.is_file()}
    assert uploaded == expected
    ((name, _), environment), *others = azure.state.own["v2"]["environments"].items()
    assert (name, others) == ("automl_for_images_training_env", [])
    assert environment["properties"]["image"] == IMAGE
    conda = environment["properties"]["condaFile"]
    assert "python=3.11" in conda
    assert "azure-ai-ml==1.35.2" in conda
    assert "numpy==2.3.5\n" in conda, "the comment behind a pin is no part of it"


def test_publishing_again_adds_a_version_and_leaves_the_default(
    azure: FakeAzure, v2: Remote, step_folder: Path
) -> None:
    v2.publish(request(step_folder, build_id="17"))
    second = v2.publish(request(step_folder, build_id="18"))
    assert second.version == 2
    found = v2.endpoint(NAME)
    assert (found.name, found.default_version, found.description) == (NAME, 1, "Trains a detector")
    assert {number: each.properties for number, each in found.versions.items()} == {
        1: {"build_id": "17"},
        2: {"build_id": "18"},
    }
    v2.set_default(NAME, 2)
    assert v2.endpoint(NAME).default_version == 2
    v2.set_default(NAME, 1)
    assert v2.endpoint(NAME).default_version == 1
    assert len(azure.state.own["v2"]["codes"]) == 1, "the same code is uploaded once"


def test_every_endpoint_of_ours_is_listed_over_pages(azure: FakeAzure, v2: Remote, step_folder: Path) -> None:
    from tests.fake_azure.state import EndpointRecord

    names = [f"train_{letter}" for letter in "abc"]
    for name in names:
        v2.publish(request(step_folder, name))
    azure.state.endpoints["somebody-elses"] = EndpointRecord("somebody-elses", "v2")
    assert sorted(found.name for found in v2.endpoints()) == names


def test_a_submitted_endpoint_is_a_run_with_the_parameters(azure: FakeAzure, v2: Remote, step_folder: Path) -> None:
    v2.publish(request(step_folder))
    run = v2.submit(NAME, version=None, experiment="cap_detection", parameters=GIVEN)
    record = azure.state.runs[run.id]
    assert (record.parameters, record.experiment) == (GIVEN, "cap_detection")
    assert v2.run(run.id).experiment == "cap_detection"
    (call,) = azure.requests.find("POST", "^/jobs$")
    assert call.claims["aud"] == "https://ml.azure.com"
    assert call.body["properties"]["inputData"]["cluster"] == {"jobInputType": "Literal", "value": "gpu-cluster"}


def test_a_version_is_submitted_when_it_is_named_and_the_default_otherwise(
    azure: FakeAzure, v2: Remote, step_folder: Path
) -> None:
    """The SDK sends an earlier call's deployment again when a later one names none."""
    for build in "12":
        v2.publish(request(step_folder, build=build))
    runs = [v2.submit(NAME, version=v, experiment="e", parameters=GIVEN) for v in (2, None)]
    deployments = [azure.state.runs[run.id].properties["azureml.deploymentname"] for run in runs]
    assert deployments == ["v02", "v01"]


def test_the_default_of_a_parameter_holds_where_none_is_given(azure: FakeAzure, v2: Remote, step_folder: Path) -> None:
    v2.publish(request(step_folder))
    given = {"dataset_name": "caps", "model_name": "M"}
    run = v2.submit(NAME, version=1, experiment="e", parameters=given)
    assert azure.state.runs[run.id].parameters == {**given, "cluster": "gpu-cluster"}


@pytest.mark.parametrize(("version", "expected"), [(7, "versions: 1"), (0, "versions: 1")])
def test_an_unknown_version_names_those_there_are(v2: Remote, step_folder: Path, version: int, expected: str) -> None:
    v2.publish(request(step_folder))
    with pytest.raises(NotFoundError, match=expected):
        v2.submit(NAME, version=version, experiment="e", parameters=GIVEN)
    with pytest.raises(NotFoundError, match=expected):
        v2.set_default(NAME, version)


def test_an_unknown_endpoint_is_named(v2: Remote) -> None:
    for call in (lambda: v2.endpoint("nowhere"), lambda: v2.set_default("nowhere", 1)):
        with pytest.raises(NotFoundError, match="no pipeline endpoint 'nowhere'"):
            call()


def test_a_property_that_is_too_long_for_a_tag_is_said_before_anything_is_made(
    azure: FakeAzure, v2: Remote, step_folder: Path
) -> None:
    with pytest.raises(UsageError, match="template"):
        v2.publish(request(step_folder, template="x" * 257))
    assert not azure.requests.find("PUT")


def test_a_version_that_another_publisher_took_meanwhile_is_not_lost(
    azure: FakeAzure, v2: Remote, step_folder: Path
) -> None:
    v2.publish(request(step_folder, build_id="1"))
    azure.fail_next("PUT", r"/components/[^/]+/versions/2\?", 409)
    third = v2.publish(request(step_folder, build_id="2"))
    assert third.version == 3
    assert sorted(v2.endpoint(NAME).versions) == [1, 3]


def test_a_name_that_is_taken_in_the_region_is_said_to_be_so(azure: FakeAzure, v2: Remote, step_folder: Path) -> None:
    said = "The specified endpoint name 'x' is not available. Endpoint names must be unique within the region."
    azure.fail_next("PUT", r"/batchEndpoints/[^/]+\?", 400, code="UserError", message=said)
    with pytest.raises(ConflictError, match="taken in this region") as caught:
        v2.publish(request(step_folder))
    assert "--name" in caught.value.hint


def test_another_refusal_of_an_endpoint_is_said_as_it_is(azure: FakeAzure, v2: Remote, step_folder: Path) -> None:
    azure.fail_next("PUT", r"/batchEndpoints/[^/]+\?", 400, code="UserError", message="no such identity")
    with pytest.raises(UsageError, match="no such identity"):
        v2.publish(request(step_folder))


def filled(azure: FakeAzure, numbers: range, name: str = "v{:02}") -> None:
    """More deployments of the first version's kind, and the components that they stand on."""
    from tests.fake_azure.state import VersionRecord

    record = azure.state.endpoints[endpoint_name(NAME, azure.state.arm_path)]
    first, components = record.versions[1], azure.state.own["v2"]["components"]
    full = component_name(NAME)
    component = components[full, "1"]
    for number in numbers:
        record.versions[number] = VersionRecord(name.format(number), number, body=first.body, extra=first.extra)
        components[full, str(number)] = {**component, "name": str(number)}


def test_the_oldest_versions_make_room_and_the_default_and_the_newest_stay(
    azure: FakeAzure, v2: Remote, step_folder: Path
) -> None:
    """The service takes 20 deployments; whoever merges for the 21st time publishes all the same."""
    v2.publish(request(step_folder))
    filled(azure, range(2, 19))
    assert v2.publish(request(step_folder, build_id="19")).properties == {"build_id": "19"}
    assert len(v2.endpoint(NAME).versions) == 19
    published = v2.publish(request(step_folder, build_id="20"))
    assert (published.version, published.properties["removed_versions"]) == (20, "2, 3, 4, 5, 6, 7, 8, 9, 10")
    found = v2.endpoint(NAME)
    assert (found.default_version, sorted(found.versions)) == (1, [1, *range(11, 21)])
    assert found.versions[20].properties == published.properties
    for call in (lambda: v2.set_default(NAME, 2), lambda: v2.submit(NAME, version=2, experiment="e", parameters=GIVEN)):
        with pytest.raises(NotFoundError, match="has no version 2; versions: 1, 11, 12"):
            call()
    assert v2.publish(request(step_folder)).version == 21
    azure.assert_clean()


def test_deployments_of_others_are_left_alone_and_count(azure: FakeAzure, v2: Remote, step_folder: Path) -> None:
    v2.publish(request(step_folder))
    filled(azure, range(2, 21), "others-{}")
    with pytest.raises(UsageError, match="20 deployments"):
        v2.publish(request(step_folder))
    assert sorted(v2.endpoint(NAME).versions) == [1]
    assert not azure.requests.find("DELETE")


def test_a_batch_scoring_endpoint_has_its_two_parameters(azure: FakeAzure, v2: Remote, step_folder: Path) -> None:
    asked = replace(request(step_folder), parameters={"dataset_name": "", "model_name": ""})
    v2.publish(asked)
    assert set(spec_of(azure)["inputs"]) == {"dataset_name", "model_name"}


def test_code_that_cannot_be_uploaded_stops_the_publishing(azure: FakeAzure, v2: Remote, step_folder: Path) -> None:
    azure.fail_next("PUT", r"blob\.core\.windows\.net.*step\.py", 403, times=3)
    with pytest.raises(UsageError, match="403"):
        v2.publish(request(step_folder))
    assert not azure.state.endpoints
    azure.faults.clear()
    assert v2.publish(request(step_folder)).version == 1


def test_a_connection_that_breaks_while_code_is_uploaded_is_made_again(
    azure: FakeAzure, v2: Remote, step_folder: Path
) -> None:
    from tests.fake_azure.v2.code import files_of

    azure.fail_next("PUT", r"blob\.core\.windows\.net.*step\.py", "drop")
    v2.publish(request(step_folder))
    _, command = node_of(azure)
    assert files_of(azure, command["code"])["model_training/step.py"] == b"print('step')\n"
    azure.assert_clean()
