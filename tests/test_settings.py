"""variable_template.yml: every key used, unknown ones named, references expanded."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_training.errors import CvaError, NotFoundError, UsageError
from model_training.setting_rules import RETIRED_SIZES, trains_images
from model_training.settings import Settings, load_settings, parse_settings

ROOT = Path(__file__).resolve().parents[1]


def test_the_projects_own_file_is_read_and_its_template_exists() -> None:
    settings = load_settings(ROOT / "variable_template.yml")
    assert settings.automl_pipeline_name == "automl_for_images_training_pipeline"
    assert settings.job_template_path == ROOT / "model_training/job_templates/object_detection.yml"
    assert settings.resource_group == "cva-rg"  # $(BASE_NAME)-rg


def test_the_nearest_file_upwards_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "variable_template.yml").write_text("variables:\n- name: BASE_NAME\n  value: caps\n")
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b")
    assert load_settings().workspace_name == "caps-aml"


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().aml_compute_cluster_name == "gpu-cluster"


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"jobs/none\.yml"):
        _ = Settings(automl_job_template="jobs/none.yml", source=tmp_path / "variable_template.yml").job_template_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("variables: {BASE_NAMES: x}", "did you mean BASE_NAME"),
        ("variables: [{name: BASE_NAME, value: a}, {name: BASE_NAME, value: b}]", "set twice"),
        ("variables: {BASE_NAME: '${{ parameters.x }}'}", "template expressions"),
        ("variables: {BASE_NAME: '$(NOPE)'}", "NOPE"),
        ("variables: {BASE_NAME: $(LOCATION), LOCATION: $(BASE_NAME)}", "never ends"),
        ("variables: {VM_SIZE: Standard_NC6}", "Standard_NC4as_T4_v3"),
        ("variables: {VM_SIZE: standard_nc6s_V3}", "Standard_NC24ads_A100_v4"),  # Azure ignores case
        ("variables: {VM_SIZE: Standard_NC24rs_v2}", "retired by Azure"),
        ("variables: {VM_SIZE: Standard_NC6_Promo}", "Standard_NC4as_T4_v3"),
        ("variables: {VM_SIZE: Standard_ND24rs}", "Standard_NC96ads_A100_v4"),
        ("variables: {CPU_VM_SIZE: Standard_NV6}", "retired by Azure"),
        ("variables: {VM_SIZE: Standard_D4ds_v4}", "GPU sizes of the NC and ND families"),  # no GPU
        ("variables: {VM_SIZE: Standard_NV36ads_A10_v5}", "GPU sizes of the NC and ND families"),  # AutoML takes no NV
        ("variables: {AML_CLUSTER_MAX_NODES: many}", "whole number"),
        ("variables: {AML_CLUSTER_MIN_NODES: 3}", "above"),
        ("variables: {AZUREML_SDK: v3}", "v1 or v2"),
        ("variables: {WORKSPACE_NAME: ab}", "WORKSPACE_NAME must be 3 to 33"),
        ("variables: {LOCATION: West Europe}", "such as westeurope"),
        ("variables: {EDGE_STORAGE_ACCOUNT: Edge-Store}", "3 to 24 small letters"),
        ("variables: {SUBSCRIPTION_ID: mine}", "a subscription's id"),
        ("variables: {AML_COMPUTE_CLUSTER_NAME: gpu-1}", "3 to 24 letters"),  # Azure's own rule: no -1 at the end
        ("variables: {AML_CPU_CLUSTER_NAME: gpu-cluster}", "wait for ever"),
        ("variables: {AML_CPU_CLUSTER_NAME: gp}", "3 to 24 letters"),
        ("variables: {AML_CPU_CLUSTER_NAME: twenty-five-letters-are-to}", "3 to 24 letters"),
        ("variables: {MODEL_RELEASE_CONTAINER: ''}", "MODEL_RELEASE_CONTAINER must be 3 to 63"),
        ("variables: {MODEL_RELEASE_CONTAINER: captures}", "captures expire"),
        ("variables: {IDLE_SECONDS_BEFORE_SCALEDOWN: 5}", "60 to 86400"),
        ("variables: [3]", "expected name and value"),
        ("[]", "expected `variables:`"),
        ("variables: [", "not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings(text, source=None)
    assert expected in str(caught.value)
    assert caught.value.hint


def test_groups_are_listed_and_not_expected_here() -> None:
    settings = parse_settings("variables:\n- group: secrets\n- name: BASE_NAME\n  value: caps", source=None)
    assert settings.groups == ("secrets",)


@pytest.mark.parametrize("size", ["Standard_NC4as_T4_v3", "STANDARD_NC64AS_T4_V3", "Standard_ND40rs_v2"])
def test_sizes_that_automl_trains_on_are_taken(size: str) -> None:
    assert parse_settings(f"variables: {{VM_SIZE: {size}}}", source=None).vm_size == size


def test_what_takes_the_place_of_a_retired_size_is_one_that_trains() -> None:
    for name, better in RETIRED_SIZES.items():
        assert trains_images(better) and better.lower() not in RETIRED_SIZES, name


def test_the_containers_have_names_without_a_file() -> None:
    """release_model.sh and main.bicep take them as they are."""
    settings = parse_settings("variables: []", source=None)
    assert (settings.edge_capture_container, settings.model_release_container) == ("captures", "releases")


@given(st.text(max_size=200))
def test_any_text_gives_settings_or_a_clear_error(text: str) -> None:
    try:
        parse_settings(text, source=None)
    except CvaError as error:
        assert error.hint
