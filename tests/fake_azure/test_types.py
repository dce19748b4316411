"""The check of bodies against Azure's published types finds what is seeded, and lets what is right through."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.fake_azure import published_types, types

GOOD: dict[str, Any] = {
    "location": "westeurope",
    "tags": {"build_id": "17"},
    "properties": {
        "deploymentConfiguration": {
            "deploymentConfigurationType": "PipelineComponent",
            "componentId": {"referenceType": "Id", "assetId": "/subscriptions/s/components/c/versions/1"},
            "settings": {"default_compute": "cpu-cluster"},
        },
        "errorThreshold": -1,
        "outputAction": "AppendRow",
    },
}
RESOURCE = "workspaces/batchEndpoints/deployments"
SEEDED: list[tuple[str, Any, str]] = [
    ("location", None, "'location' is required"),
    ("locatoin", "westeurope", "unknown property 'locatoin'"),
    ("tags", ["build_id"], "expected an object"),
    ("tags.build_id", 17, "expected string, found 17"),
    ("properties", "x", "expected an object"),
    ("properties.errorThreshold", "many", "expected integer"),
    ("properties.errorThreshold", True, "expected integer"),
    ("properties.environmentVariables", {"A": 1}, "expected string"),
    ("properties.deploymentConfiguration.deploymentConfigurationType", "Pipeline", "expected one of"),
    ("properties.deploymentConfiguration.componentId", "x", "expected an object"),
    ("properties.deploymentConfiguration.componentId.assetId", None, "'assetId' is required"),
    ("properties.deploymentConfiguration.componentId.assetIdd", "x", "unknown property"),
    ("properties.resources", {"instanceCount": "two"}, "expected integer"),
]


def changed(path: str, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    target = body
    for parent in parents:
        target = target[parent]
    target[last] = value
    return body


def test_a_right_body_has_no_problems() -> None:
    assert types.problems(RESOURCE, GOOD) == []


@pytest.mark.parametrize(("path", "value", "expected"), SEEDED)
def test_a_seeded_fault_is_found_at_its_place(path: str, value: Any, expected: str) -> None:
    found = types.problems(RESOURCE, changed(path, value))
    assert len(found) == 1
    assert expected in found[0]
    assert found[0].startswith("body")


def test_what_only_the_service_writes_is_no_problem_and_null_is_absent() -> None:
    assert types.problems(RESOURCE, changed("properties.provisioningState", 7)) == []
    assert types.problems(RESOURCE, changed("properties.description", None)) == []


def test_an_unknown_resource_is_a_mistake_of_the_test() -> None:
    with pytest.raises(KeyError, match="juggling"):
        types.problems("workspaces/juggling", {})


def test_without_the_types_no_body_is_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(published_types.VARIABLE, str(tmp_path / "none"))
    types._catalogues.cache_clear()
    with pytest.raises(RuntimeError, match="no published resource types of microsoft"):
        types.problems(RESOURCE, GOOD)
    types._catalogues.cache_clear()
