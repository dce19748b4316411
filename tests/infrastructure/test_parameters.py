"""What variable_template.yml and main.bicep call by the same name: every setting arrives, with the same default."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.settings import bicep_parameters, camel
from model_training.settings import parse_settings
from scoring.errors import UsageError

INFRASTRUCTURE = Path(__file__).resolve().parents[2] / "infrastructure"
MAIN = (INFRASTRUCTURE / "main.bicep").read_text()
# (description, name, type, default as written)
DECLARED = re.findall(r"^@description\('(.*)'\)\n(?:@.*\n)*param (\w+) (\w+)(?: = (.*))?$", MAIN, re.MULTILINE)
FROM_SETTINGS = {name: re.findall(r"Setting ([A-Z_]+):", text) for text, name, _, _ in DECLARED if "Setting " in text}


def given(text: str) -> dict[str, Any]:
    settings = parse_settings(text, source=INFRASTRUCTURE.parent / "variable_template.yml")
    return {name: each["value"] for name, each in bicep_parameters(settings)["parameters"].items()}


def test_every_parameter_says_when_it_is_needed() -> None:
    assert len(DECLARED) == len(re.findall("^param ", MAIN, re.MULTILINE))
    assert all(re.match(r"(Required|Optional|Conditional)\. ", text) for text, *_ in DECLARED)


def test_a_parameter_has_the_name_of_its_setting() -> None:
    assert FROM_SETTINGS and all(
        [name] == [camel(each.lower()) for each in setting] for name, setting in FROM_SETTINGS.items()
    )


def test_every_parameter_of_a_setting_is_given() -> None:
    """With all of them set, none is missing, and none arrives that main.bicep doesn't take from a setting."""
    some = "00000000-0000-0000-0000-000000000001"
    values = {"WORKSPACE_SVC_PRINCIPAL_ID": some, "AZURE_RM_SVC_PRINCIPAL_ID": some, "EDGE_STORAGE_ACCOUNT": "edgeone"}
    values |= {"EDGE_CAPTURE_CONTAINER": "in-here", "MODEL_RELEASE_CONTAINER": "out-there"}
    lines = [f"  - {{name: {name}, value: {value}}}" for name, value in values.items()]
    assert set(given("\n".join(["variables:", *lines]))) == set(FROM_SETTINGS)


def test_the_defaults_are_the_same() -> None:
    """Deployed with no settings file at hand, the resources are those that the command line looks for."""
    settings = parse_settings("variables: []", source=None)
    own = {camel(name): getattr(settings, name) for name in (each.name for each in fields(settings))}
    written = {name: default for _, name, _, default in DECLARED if name in FROM_SETTINGS}
    written.pop("location")  # the resource group's own
    assert written.pop("workspaceName") == "'${baseName}-aml'"
    assert written == {name: repr(own[name]) for name in written}


def limits(name: str) -> dict[str, int]:
    """What main.bicep says above the parameter: minLength, maxLength, minValue, maxValue."""
    [block] = re.findall(rf"((?:^@.*\n)*)^param {name} ", MAIN, re.MULTILINE)
    return {kind: int(value) for kind, value in re.findall(r"@(m\w+(?:Length|Value))\((\d+)\)", block)}


def taken(setting: str, value: str | int) -> bool:
    try:
        parse_settings(f"variables: {{{setting}: '{value}'}}", source=None)
    except UsageError as error:
        assert f"{setting} must be" in error.message
        return False
    return True


# words and ids of Azure itself
NOT_COUNTED = {"location", "vmSize", "cpuVmSize", "workspaceSvcPrincipalId", "azureRmSvcPrincipalId"}


@pytest.mark.parametrize("name", sorted(set(FROM_SETTINGS) - NOT_COUNTED))
def test_a_setting_and_its_parameter_have_the_same_limits(name: str) -> None:
    """Or a name that the first command takes fails at the deployment, or the other way round."""
    [setting] = FROM_SETTINGS[name]
    said = limits(name)
    if "maxValue" in said:
        low, high = said["minValue"], said["maxValue"]
        wide = {"AML_CLUSTER_MIN_NODES": "AML_CLUSTER_MAX_NODES: 100, ", "AML_CLUSTER_MAX_NODES": ""}.get(setting, "")
        parse_settings(f"variables: {{{wide}{setting}: {low}}}", source=None)
        parse_settings(f"variables: {{{wide}{setting}: {high}}}", source=None)
        assert not taken(setting, high + 1) and (low == 0 or not taken(setting, low - 1))
        return
    longest = said["maxLength"]
    assert taken(setting, "a" * longest) and not taken(setting, "a" * (longest + 1))
    shortest = said.get("minLength", 0)
    assert taken(setting, "a" * shortest) and (shortest == 0 or not taken(setting, "a" * (shortest - 1)))


@pytest.mark.parametrize(
    ("who", "container", "role"),
    [
        ("edgeReader", "modelReleaseContainer", "storageBlobDataReader"),
        ("edgeWriter", "edgeCaptureContainer", "storageBlobDataContributor"),
    ],
)
def test_devices_get_one_role_on_one_container(who: str, container: str, role: str) -> None:
    """Account keys are off: what is not listed here can neither fetch a model nor send a capture."""
    [block] = re.findall(rf"^module {who}s ('[^\n]*) = \[\n(.*?)^\]", MAIN, re.MULTILINE | re.DOTALL)
    assert block[0] == "'modules/container-access.bicep'"
    said = dict(re.findall(r"^      (\w+): (\S+)$", block[1], re.MULTILINE))
    assert (said["containerName"], said["roleId"]) == (container, role)
    assert (said["principalId"], said["principalType"]) == ("principalId", f"{who}PrincipalType")
    assert f"for (principalId, index) in {who}PrincipalIds:" in block[1]
    assert len(re.findall(rf"\b{who}PrincipalIds\b", MAIN)) == 3  # declared, explained with its type, used here


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_a_parameter_file_names_what_there_is_and_no_setting(environment: str) -> None:
    document = json.loads((INFRASTRUCTURE / f"main.parameters.{environment}.json").read_text())
    kinds = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}
    types = {name: kinds[kind] for _, name, kind, _ in DECLARED if name not in FROM_SETTINGS}
    assert document["parameters"]["environmentName"] == {"value": environment}
    assert all(type(each["value"]) is types[name] for name, each in document["parameters"].items())


def test_no_output_holds_a_secret() -> None:
    for path in INFRASTRUCTURE.rglob("*.bicep"):
        for output in re.findall(r"^output .*", path.read_text(), re.MULTILINE):
            assert not re.search(r"listKeys|list\w+\(|[cC]onnectionString|[pP]assword|[sS]ecret|Sas\b", output), output
