"""The small parts of v2 that need no SDK: names, versions, moments; and no file hides a call of another."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_training.workspaces.azureml.v2 import V2Service
from model_training.workspaces.azureml.v2.naming import (
    LONGEST,
    component_name,
    deployment_name,
    deployment_version,
    endpoint_name,
)
from model_training.workspaces.azureml.v2.room import crowded_out
from model_training.workspaces.azureml.v2.times import moment
from model_training.workspaces.azureml.v2.versions import number, take_next
from model_training.workspaces.names import NAME
from scoring.errors import ConflictError, UsageError

NAMES = st.from_regex(NAME, fullmatch=True)


@given(NAMES)
def test_any_name_of_ours_becomes_a_name_of_a_batch_endpoint(name: str) -> None:
    """3 to 32 letters, digits and hyphens, the first a letter, the last no hyphen; always the same one."""
    found = endpoint_name(name)
    assert re.fullmatch(r"[a-z][a-z0-9-]{1,30}[a-z0-9]", found)
    assert len(found) <= LONGEST
    assert found == endpoint_name(name)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", component_name(name))


@given(NAMES, NAMES)
def test_two_names_never_share_an_endpoint(one: str, other: str) -> None:
    assert (endpoint_name(one) == endpoint_name(other)) == (one == other)


@given(NAMES)
def test_two_workspaces_never_share_a_name_and_case_is_none_of_it(name: str) -> None:
    """A batch endpoint's name is unique in a whole region: a development and a production workspace may share one."""
    one, other = (f"/subscriptions/0/resourceGroups/caps/{each}" for each in ("dev", "prod"))
    assert endpoint_name(name, one) != endpoint_name(name, other)
    assert endpoint_name(name, one) == endpoint_name(name, one.upper())
    assert len(endpoint_name(name, one)) <= LONGEST


@pytest.mark.parametrize(
    ("names", "default", "gone"),
    [
        ([f"v{n:02}" for n in range(1, 19)], 1, []),
        ([f"v{n:02}" for n in range(1, 20)], 1, [2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ([f"v{n:02}" for n in range(1, 20)], 19, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ([f"v{n:02}" for n in range(1, 20)], None, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ([*(f"other-{n}" for n in range(17)), "v01", "v02", "v03"], 2, [1]),  # the default and the newest stay
        ([f"other-{n}" for n in range(20)], None, []),
    ],
)
def test_the_oldest_are_crowded_out(names: list[str], default: int | None, gone: list[int]) -> None:
    assert crowded_out(names, default=default) == gone


@given(st.integers(1, 10**6))
def test_a_version_and_its_deployment_say_the_same(version: int) -> None:
    assert deployment_version(deployment_name(version)) == version


@pytest.mark.parametrize("name", ["blue", "v", "v0", "v1", "v00", "v001", "v01-old", "V01", ""])
def test_somebody_elses_deployment_is_no_version(name: str) -> None:
    assert deployment_version(name) is None


def test_the_next_version_is_after_the_greatest_and_a_taken_one_is_skipped() -> None:
    taken = {8, 9}

    def make(version: int) -> int:
        if version in taken:
            raise ConflictError(f"{version} is there")
        return version

    assert take_next([3, 7], make, "x") == 10
    assert take_next([], make, "x") == 1
    taken.update(range(100))
    with pytest.raises(ConflictError, match="taken by others"):
        take_next([], make, "model Caps")


def test_another_error_is_not_tried_again() -> None:
    tried: list[int] = []

    def make(version: int) -> int:
        tried.append(version)
        raise UsageError("no")

    with pytest.raises(UsageError):
        take_next([], make, "x")
    assert tried == [1]


@pytest.mark.parametrize(("text", "expected"), [("7", 7), ("007", 7), ("initial", None), ("-1", None), ("٣", None)])
def test_only_whole_numbers_are_versions(text: str, expected: int | None) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2026-05-01T10:00:00.1234567Z",  # the service's seven digits
        "2026-05-01T12:00:00.123456+02:00",
        "2026-05-01T10:00:00.123456",
        datetime(2026, 5, 1, 10, 0, 0, 123456),
        datetime(2026, 5, 1, 10, 0, 0, 123456, timezone.utc),
    ],
)
def test_a_moment_is_utc_however_it_was_written(value: object) -> None:
    assert moment(value) == "2026-05-01T10:00:00.123456Z"


def test_mlflow_counts_milliseconds_and_nothing_is_nothing() -> None:
    assert moment(1777629600123) == "2026-05-01T10:00:00.123000Z"
    assert [moment(value) for value in (None, "", 0)] == ["", "", ""]


def test_no_part_of_the_service_hides_a_call_of_another() -> None:
    """They are one object: two private methods of one name would be one."""
    owners: dict[str, list[str]] = {}
    for part in V2Service.__mro__[1:-1]:
        for name in vars(part):
            if not name.startswith("__"):
                owners.setdefault(name, []).append(part.__name__)
    assert {name: parts for name, parts in owners.items() if len(parts) > 1} == {}


def test_importing_the_service_imports_no_azure_package() -> None:
    code = "import sys, model_training.workspaces.azureml.v2; print([m for m in sys.modules if m.startswith('azure')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
