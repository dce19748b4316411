"""`cva settings show`: what variable_template.yml means, for people and for Bicep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_training.cli.main import main
from model_training.cli.settings import camel

FILE = "variables:\n- name: BASE_NAME\n  value: caps\n- name: AML_CLUSTER_MAX_NODES\n  value: 3\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "variable_template.yml").write_text(FILE)
    (tmp_path / "infrastructure").mkdir()
    bicep = "@description('Required. x')\nparam baseName string\nparam amlClusterMaxNodes int\nparam tags object = {}\n"
    (tmp_path / "infrastructure/main.bicep").write_text(bicep + "param edgeStorageAccount string = ''\n")
    return tmp_path


def test_every_setting_is_shown(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["BASE_NAME"], shown["RESOURCE_GROUP"], shown["AML_CLUSTER_MAX_NODES"]) == ("caps", "caps-rg", 3)


def test_one_setting_is_printed_alone(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "show", "WORKSPACE_NAME"]) == 0
    assert capsys.readouterr().out == "caps-aml\n"
    assert main(["settings", "show", "WORKSPACE"]) == 1
    assert "'WORKSPACE' is not a setting" in capsys.readouterr().err


def test_bicep_gets_what_it_declares(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "show", "--for", "bicep"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["parameters"] == {"baseName": {"value": "caps"}, "amlClusterMaxNodes": {"value": 3}}
    assert given["contentVersion"] == "1.0.0.0"


def test_without_bicep_it_says_where_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "variable_template.yml").write_text(FILE)
    assert main(["settings", "show", "--for", "bicep"]) == 1
    assert "clone of this repository" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "expected"), [("base_name", "baseName"), ("azureml_sdk", "azuremlSdk")])
def test_names_are_made_by_rule(name: str, expected: str) -> None:
    assert camel(name) == expected


def test_values_are_written_and_all_else_stays(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = clone / "variable_template.yml"
    file.write_text(f'# mine\n{FILE}- name: SUBSCRIPTION_ID  # whose\n  value: ""  # empty: the one logged in\n')
    id_ = "00000000-0000-0000-0000-000000000001"
    assert main(["settings", "set", f"SUBSCRIPTION_ID={id_}", "BASE_NAME=caps", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == ["SUBSCRIPTION_ID"]
    shown = f'- name: SUBSCRIPTION_ID  # whose\n  value: "{id_}"  # empty: the one logged in\n'
    assert file.read_text() == f"# mine\n{FILE}{shown}"
    before = file.stat().st_mtime_ns
    assert main(["settings", "set", f"SUBSCRIPTION_ID={id_}"]) == 0
    assert "says so already" in capsys.readouterr().out and file.stat().st_mtime_ns == before


def test_a_name_that_is_not_in_the_file_yet_is_added(clone: Path) -> None:
    assert main(["settings", "set", "AZUREML_SDK=v2"]) == 0
    assert (clone / "variable_template.yml").read_text().endswith('- name: AZUREML_SDK\n  value: "v2"\n')
    (clone / "variable_template.yml").write_text("variables:\n  BASE_NAME: caps # mine\n")
    assert main(["settings", "set", "BASE_NAME=lids"]) == 0
    assert (clone / "variable_template.yml").read_text() == 'variables:\n  BASE_NAME: "lids" # mine\n'


@pytest.mark.parametrize(
    ("text", "value", "says"),
    [
        (FILE, "BASE_NAME=-", "BASE_NAME must be"),
        (FILE, "BASE_NAMES=caps", "did you mean BASE_NAME?"),
        (FILE, "BASE_NAME", "expected NAME=VALUE"),
        ("variables: [{name: BASE_NAME, value: caps}]", "BASE_NAME=lids", "write it by hand"),
    ],
)
def test_what_is_wrong_is_not_written(
    clone: Path, capsys: pytest.CaptureFixture[str], text: str, value: str, says: str
) -> None:
    (clone / "variable_template.yml").write_text(text)
    assert main(["settings", "set", value]) == 2
    assert says in capsys.readouterr().err
    assert (clone / "variable_template.yml").read_text() == text
