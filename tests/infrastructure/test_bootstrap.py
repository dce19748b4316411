"""bootstrap.sh against an `az` that keeps a tenant: what it makes, in which order, and when it makes nothing."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.fake_azure_cli import READS, FakeAz

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "infrastructure" / "bootstrap.sh"
GROUP = "/subscriptions/sub/resourceGroups/bottles-rg"
DEVOPS = ("--organization", "https://dev.azure.com/org/", "--project", "caps line")
SETTINGS = """\
variables:
  - name: BASE_NAME
    value: bottles
  - name: LOCATION
    value: northeurope
"""
EMPTY: dict[str, Any] = {
    "logged_in": True,
    "account": {
        "id": "sub",
        "tenantId": "tenant",
        "name": "My 'big' subscription",
        "user": {"name": "me@example.org", "type": "user"},
    },
    "groups": {},
    "providers": ["Microsoft.Storage", "microsoft.insights"],
    "roles": [
        {
            "id": "1",
            "principalId": "me",
            "roleDefinitionName": "Owner",
            "scope": "/subscriptions/sub",
            "condition": None,
        }
    ],
    "apps": [],
    "principals": [],
    "projects": ["caps%20line"],
    "connections": [],
    "creator": True,
    "permits": {},
    "policy": {"defaultUserRolePermissions": {"allowedToCreateApps": True}},
    "directory": [],
    "refuse": "",
}


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str
    made: tuple[str, ...]  # the calls that make something, in order
    tenant: dict[str, Any]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the real `cva` prints, once: it reads the file for half a second."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "variable_template.yml").write_text(SETTINGS)
    command = [str(Path(sys.executable).parent / "cva"), "--json", "settings", "show"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def bootstrap(tmp_path: Path, settings: str) -> Iterator[Callable[..., Outcome]]:
    """Runs the script; `change` is what the tenant is before, and the same tenant is there at the next run."""
    fake = FakeAz(copy.deepcopy(EMPTY))
    (tmp_path / "cva").write_text(f"#!/bin/sh\ncat <<'END'\n{settings}END\n")
    (tmp_path / "cva").chmod(0o755)
    path = f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin"

    def run(*arguments: str, **change: Any) -> Outcome:
        fake.calls.clear()
        fake.tenant.update(copy.deepcopy(change))
        command = ["bash", str(SCRIPT), *arguments]
        environment = {"PATH": path, "HOME": str(tmp_path)}
        ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert not fake.faults, fake.faults
        made = tuple(call for call in fake.calls if not READS.match(call))
        return Outcome(ended.returncode, ended.stdout, ended.stderr, made, copy.deepcopy(fake.tenant))

    with fake.on_path(tmp_path):
        yield run


GUIDS = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(3)]


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Callable[..., Outcome]]:
    """The script in a clone, with the real `cva`; what exists already has ids as Azure gives them."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "infrastructure", root / "infrastructure")
    shutil.copytree(ROOT / ".pipelines" / "scripts", root / ".pipelines" / "scripts")
    (root / "variable_template.yml").write_text("# ours\n" + SETTINGS)
    tenant = copy.deepcopy(EMPTY)
    tenant["account"]["id"] = GUIDS[0]
    tenant["roles"][0]["scope"] = f"/subscriptions/{GUIDS[0]}"
    names = ("bottles-azure-resource-connection", "bottles-aml-workspace-connection")
    tenant["apps"] = [{"appId": name, "displayName": name, "credentials": []} for name in names]
    tenant["principals"] = [{"id": guid, "appId": name} for guid, name in zip(GUIDS[1:], names, strict=True)]
    fake = FakeAz(tenant, root)

    def run(*arguments: str) -> Outcome:
        fake.calls.clear()
        command = ["bash", "infrastructure/bootstrap.sh", *arguments]
        environment = {"PATH": f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
        ended = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=120)
        assert not fake.faults, fake.faults
        made = tuple(call for call in fake.calls if not READS.match(call))
        return Outcome(ended.returncode, ended.stdout, ended.stderr, made, copy.deepcopy(fake.tenant))

    with fake.on_path(tmp_path):
        yield run


def kinds(calls: tuple[str, ...]) -> list[str]:
    """The calls without their options, and with what tells them apart."""
    return [re.sub(r" --.*", "", call) for call in calls]


def test_from_nothing_everything_is_made_in_order_and_once(bootstrap: Callable[..., Outcome]) -> None:
    """The credential comes after its connection, which names issuer and subject; rights after their principals."""
    first = bootstrap(*DEVOPS)
    assert (first.code, first.err.count("runs:")) == (0, len(first.made)), first.err
    connection = ["ad app create", "ad sp create", "rest", "ad app federated-credential create"]
    assert kinds(first.made) == [
        *["provider register"] * 7,  # nine are needed, two are there
        "group create",
        *connection * 2,
        *["role assignment create"] * 5,
    ]
    assert first.tenant["groups"] == {"bottles-rg": "northeurope"}
    assert [app["displayName"] for app in first.tenant["apps"]] == [
        "bottles-azure-resource-connection",
        "bottles-aml-workspace-connection",
    ]
    for app, connection_made in zip(first.tenant["apps"], first.tenant["connections"], strict=True):
        given = connection_made["authorization"]["parameters"]
        assert given["serviceprincipalid"] == app["appId"]
        (credential,) = app["credentials"]
        assert credential["issuer"] == "https://login.microsoftonline.com/tenant/v2.0"
        assert credential["subject"] == given["workloadIdentityFederationSubject"]
        assert credential["audiences"] == ["api://AzureADTokenExchange"]
        assert connection_made["data"]["subscriptionName"] == "My 'big' subscription"
    assert [(each["principalId"], each["roleDefinitionName"], each["scope"]) for each in first.tenant["roles"][1:]] == [
        ("principal-of-app-0", "Contributor", GROUP),
        ("principal-of-app-0", "Role Based Access Control Administrator", GROUP),
        ("me", "AzureML Data Scientist", GROUP),
        ("me", "Storage Blob Data Contributor", GROUP),
        ("me", "Storage File Data Privileged Contributor", GROUP),
    ]
    assert re.findall("name: (.*)\n *value: (.*)", first.out) == [
        ("SUBSCRIPTION_ID", "sub"),
        ("AZURE_RM_SVC_PRINCIPAL_ID", "principal-of-app-0"),
        ("WORKSPACE_SVC_PRINCIPAL_ID", "principal-of-app-1"),
    ]

    second = bootstrap(*DEVOPS)
    assert (second.code, second.made, second.out) == (0, (), first.out), second.err
    assert second.tenant == first.tenant
    assert "nothing to do" in second.err


def test_one_command_leads_to_the_infrastructure(clone: Callable[..., Outcome], tmp_path: Path) -> None:
    """The ids are written into the settings, beside what stands there, and the deployment has them."""
    settings = tmp_path / "clone" / "variable_template.yml"
    dry = clone(*DEVOPS, "--deploy", "dev", "--dry-run")
    assert (dry.code, dry.made, settings.read_text()) == (0, (), "# ours\n" + SETTINGS), dry.err
    assert f"would run: cva settings set SUBSCRIPTION_ID={GUIDS[0]}" in dry.err
    assert "infrastructure.sh deploy dev" in dry.err

    done = clone(*DEVOPS, "--deploy", "dev")
    assert done.code == 0, done.err
    assert kinds(done.made)[-1] == "deployment group create"
    given = done.tenant["deployments"]["cva-dev"]
    assert (given["azureRmSvcPrincipalId"], given["workspaceSvcPrincipalId"]) == (GUIDS[1], GUIDS[2])
    assert (given["baseName"], given["environmentName"], given["captureExpireDays"]) == ("bottles", "dev", 90)
    names = ("SUBSCRIPTION_ID", "AZURE_RM_SVC_PRINCIPAL_ID", "WORKSPACE_SVC_PRINCIPAL_ID")
    lines = [f'  - name: {name}\n    value: "{guid}"\n' for name, guid in zip(names, GUIDS, strict=True)]
    assert settings.read_text() == "".join(["# ours\n", SETTINGS, *lines])

    again = clone(*DEVOPS, "--write")
    assert (again.code, again.made) == (0, ()) and "says so already" in again.err, again.err


def test_a_dry_run_prints_what_a_run_would_make_and_makes_nothing(bootstrap: Callable[..., Outcome]) -> None:
    dry = bootstrap(*DEVOPS, "--dry-run")
    assert (dry.code, dry.made, dry.tenant) == (0, (), EMPTY), dry.err
    assert "reads:     az account show" in dry.err
    printed = [re.sub(r" --.*", "", line) for line in re.findall("would run: az (.*)", dry.err)]
    assert printed == kinds(bootstrap(*DEVOPS).made)


def test_what_a_broken_run_left_is_taken_up(bootstrap: Callable[..., Outcome]) -> None:
    bootstrap(*DEVOPS)
    whole = bootstrap(*DEVOPS).tenant
    broken = whole["apps"][0] | {"credentials": []}
    again = bootstrap(*DEVOPS, apps=[broken, whole["apps"][1]], roles=whole["roles"][:2])
    assert kinds(again.made) == ["ad app federated-credential create", *["role assignment create"] * 4], again.err


def test_a_run_that_stops_says_that_the_next_one_goes_on(bootstrap: Callable[..., Outcome]) -> None:
    """As a person meets it: the service refuses a call in the middle, and takes it a minute later."""
    stopped = bootstrap(*DEVOPS, refuse="ad app federated-credential create")
    assert stopped.code == 1 and "the next run goes on from there" in stopped.err
    again = bootstrap(*DEVOPS, refuse="")
    assert kinds(again.made)[:2] == ["ad app federated-credential create", "ad app create"], again.err
    assert bootstrap(*DEVOPS).made == ()


def test_another_condition_is_replaced(bootstrap: Callable[..., Outcome]) -> None:
    """The roles that main.bicep assigns may become more: the condition of an older bootstrap is not enough."""
    roles = bootstrap(*DEVOPS).tenant["roles"]
    old = [each | {"condition": each["condition"] and "(old)"} for each in roles]
    again = bootstrap(*DEVOPS, roles=old)
    assert kinds(again.made) == ["role assignment delete", "role assignment create"], again.err
    assert sorted(str(each["condition"]) for each in again.tenant["roles"]) == sorted(
        str(each["condition"]) for each in roles
    )


def role(name: str, scope: str) -> dict[str, Any]:
    return {"id": "1", "principalId": "me", "roleDefinitionName": name, "scope": scope, "condition": None}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        # the commonest case: Contributor may make the group, and may give no roles
        ({"roles": [role("Contributor", "/subscriptions/sub")]}, "Role Based Access Control Administrator"),
        ({"roles": [role("User Access Administrator", "/subscriptions/sub")]}, "Contributor on subscription sub"),
        # Owner of a group that isn't there yet, with providers to register
        ({"roles": [role("Owner", GROUP)]}, "Contributor on subscription sub"),
        ({"policy": {"defaultUserRolePermissions": {"allowedToCreateApps": False}}}, "Application Developer"),
        ({"projects": []}, "access to Azure DevOps project org/caps line"),
        ({"creator": False}, "Creator of service connections"),
    ],
)
def test_a_missing_right_is_named_and_nothing_is_made(
    bootstrap: Callable[..., Outcome], change: dict[str, Any], named: str
) -> None:
    ended = bootstrap(*DEVOPS, **change)
    assert (ended.code, ended.made) == (3, ()), ended.err
    assert re.search(f"^missing: .*{re.escape(named)}", ended.err, re.MULTILINE)
    assert "nothing was made" in ended.err


def test_all_missing_rights_are_named_at_once(bootstrap: Callable[..., Outcome]) -> None:
    ended = bootstrap(*DEVOPS, roles=[], creator=False, policy={"defaultUserRolePermissions": {}})
    assert (ended.code, ended.made, ended.err.count("missing: ")) == (3, (), 4), ended.err


def test_a_directory_role_is_as_good_as_the_policy(bootstrap: Callable[..., Outcome]) -> None:
    ended = bootstrap(*DEVOPS, policy={}, directory=[{"displayName": "Cloud Application Administrator"}])
    assert ended.code == 0, ended.err


def test_a_missing_login_is_named(bootstrap: Callable[..., Outcome]) -> None:
    ended = bootstrap(*DEVOPS, logged_in=False)
    assert (ended.code, ended.made) == (3, ()) and "hint: az login" in ended.err, ended.err


def test_a_subscription_that_the_login_does_not_see_is_named(bootstrap: Callable[..., Outcome], tmp_path: Path) -> None:
    cva = tmp_path / "cva"
    cva.write_text(cva.read_text().replace('"SUBSCRIPTION_ID":""', '"SUBSCRIPTION_ID":"elsewhere"'))
    ended = bootstrap(*DEVOPS)
    assert (ended.code, ended.made) == (3, ()), ended.err
    assert "does not see subscription elsewhere" in ended.err


def test_a_connection_of_somebody_else_is_left_alone(bootstrap: Callable[..., Outcome]) -> None:
    strange = {"id": "x", "name": "aml-workspace-connection", "authorization": {"parameters": {}}}
    strange["authorization"] = {"parameters": {"serviceprincipalid": "theirs"}}
    ended = bootstrap(*DEVOPS, connections=[strange])
    assert (ended.code, ended.made) == (3, ()), ended.err
    assert "belongs to application theirs" in ended.err


def test_two_applications_of_one_name_are_an_error(bootstrap: Callable[..., Outcome]) -> None:
    twin = {"displayName": "bottles-azure-resource-connection", "credentials": []}
    ended = bootstrap(*DEVOPS, apps=[twin | {"appId": "a"}, twin | {"appId": "b"}])
    assert (ended.code, ended.made) == (3, ()), ended.err
    assert "several app registrations named bottles-azure-resource-connection" in ended.err


def test_without_devops_the_connections_come_later(bootstrap: Callable[..., Outcome]) -> None:
    first = bootstrap("--no-devops", "--no-user-roles", projects=[])
    assert first.code == 0 and not first.tenant["connections"], first.err
    assert [each["principalId"] for each in first.tenant["roles"][1:]] == ["principal-of-app-0"] * 2
    second = bootstrap(*DEVOPS, "--no-user-roles", projects=["caps%20line"])
    assert kinds(second.made) == ["rest", "ad app federated-credential create"] * 2, second.err


def test_pipelines_are_permitted_when_that_is_asked_for_and_once(bootstrap: Callable[..., Outcome]) -> None:
    """Also for connections that are there already."""
    assert bootstrap(*DEVOPS).tenant["permits"] == {}
    permitted = bootstrap(*DEVOPS, "--all-pipelines")
    assert permitted.tenant["permits"] == {f"connection-{n}": {"allPipelines": {"authorized": True}} for n in (0, 1)}
    assert bootstrap(*DEVOPS, "--all-pipelines").made == ()


def test_a_connection_without_an_issuer_is_trusted_by_nobody(bootstrap: Callable[..., Outcome]) -> None:
    made = bootstrap(*DEVOPS).tenant
    bare = copy.deepcopy(made["connections"])
    for connection in bare:
        del connection["authorization"]["parameters"]["workloadIdentityFederationIssuer"]
    ended = bootstrap(*DEVOPS, connections=bare)
    assert (ended.code, ended.made) == (1, ()) and "has not given" in ended.err, ended.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "--organization and --project"),
        (("--project",), "needs a value"),
        (("--force",), "is not an option"),
        ((*DEVOPS, "--deploy", "test"), "--deploy is dev or prod"),
    ],
)
def test_usage_is_two(bootstrap: Callable[..., Outcome], arguments: tuple[str, ...], named: str) -> None:
    ended = bootstrap(*arguments)
    assert (ended.code, ended.made) == (2, ()) and named in ended.err, ended.err


def test_the_deployer_may_give_exactly_the_roles_that_bicep_assigns(bootstrap: Callable[..., Outcome]) -> None:
    """More would be a right too many; less would fail at the deployment."""
    sources = (ROOT / "infrastructure").rglob("*.bicep")
    assigned = {each for path in sources for each in re.findall(r"'([0-9a-f]{8}-[0-9a-f-]{27})'", path.read_text())}
    (condition,) = (each["condition"] for each in bootstrap(*DEVOPS).tenant["roles"] if each["condition"])
    write, delete = condition.split(" AND ")
    for half in (write, delete):
        assert set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", half)) == assigned
        assert half.count("(") == half.count(")")


def test_nothing_secret_is_asked_for_or_given(bootstrap: Callable[..., Outcome]) -> None:
    calls = " ".join(bootstrap(*DEVOPS).made) + SCRIPT.read_text()
    for word in ("password", "client-secret", "get-access-token", "create-for-rbac", "credential reset", "keys list"):
        assert word not in calls


def test_shellcheck_finds_nothing() -> None:
    command = [str(Path(sys.executable).parent / "shellcheck"), "--external-sources", str(SCRIPT)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "")
