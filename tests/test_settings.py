"""variable_template.yml: every key used, unknown ones named, references expanded."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_training.errors import CvaError, NotFoundError, UsageError
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
        ("variables: {AML_CLUSTER_MAX_NODES: many}", "whole number"),
        ("variables: {AML_CLUSTER_MIN_NODES: 3}", "above"),
        ("variables: {AZUREML_SDK: v3}", "v1 or v2"),
        ("variables: {WORKSPACE_NAME: ab}", "WORKSPACE_NAME must be 3 to 33"),
        ("variables: {LOCATION: West Europe}", "such as westeurope"),
        ("variables: {EDGE_STORAGE_ACCOUNT: Edge-Store}", "3 to 24 small letters"),
        ("variables: {SUBSCRIPTION_ID: mine}", "a subscription's id"),
        ("variables: {AML_COMPUTE_CLUSTER_NAME: gpu-1}", "2 to 32 letters"),  # Azure's own rule: no -1 at the end
        ("variables: {AML_CPU_CLUSTER_NAME: gpu-cluster}", "wait for ever"),
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


@given(st.text(max_size=200))
def test_any_text_gives_settings_or_a_clear_error(text: str) -> None:
    try:
        parse_settings(text, source=None)
    except CvaError as error:
        assert error.hint
