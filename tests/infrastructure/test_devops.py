"""devops.sh against an `az` that keeps a project of Azure DevOps: what it makes, once, and what must come first."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infrastructure.fake_azure_cli import READS, FakeAz
from tests.infrastructure.fake_devops import NEW
from tests.infrastructure.test_bootstrap import EMPTY, Outcome, kinds

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "infrastructure" / "devops.sh"
WHERE = ("--organization", "org", "--project", "caps line")
CONNECTIONS = [{"id": f"connection-{n}", "name": f"{each}-connection"} for n, each in enumerate(("deploy", "publish"))]
SETTINGS = '{"AZURE_RM_SVC_CONNECTION": "deploy-connection", "WORKSPACE_SVC_CONNECTION": "publish-connection"}'


@contextmanager
def project(tmp_path: Path) -> Iterator[Callable[..., Outcome]]:
    """Runs the script; the same project is there at the next run."""
    fake = FakeAz(copy.deepcopy({**EMPTY, **NEW, "connections": CONNECTIONS}), tmp_path)
    (tmp_path / "cva").write_text(f"#!/bin/sh\necho '{SETTINGS}'\n")
    (tmp_path / "cva").chmod(0o755)
    (tmp_path / "release.key").write_bytes(b"a private key\n")

    def run(*arguments: str, **change: Any) -> Outcome:
        fake.calls.clear()
        fake.tenant.update(copy.deepcopy(change))
        environment = {"PATH": f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
        command = ["bash", str(SCRIPT), *arguments]
        ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert not fake.faults, fake.faults
        made = tuple(call for call in fake.calls if not READS.match(call))
        return Outcome(ended.returncode, ended.stdout, ended.stderr, made, copy.deepcopy(fake.tenant))

    with fake.on_path(tmp_path):
        yield run


@pytest.fixture
def devops(tmp_path: Path) -> Iterator[Callable[..., Outcome]]:
    with project(tmp_path) as run:
        yield run


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome]:
    """With everything, and again."""
    with project(tmp_path_factory.mktemp("project")) as run:
        return run(*WHERE, "--release-key", "release.key"), run(*WHERE, "--release-key", "release.key")


def files() -> dict[str, Any]:
    return {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".pipelines").glob("*.yml")}


def test_everything_is_made_once(twice: tuple[Outcome, Outcome]) -> None:
    first, second = twice
    assert (first.code, first.err.count("runs:")) == (0, len(first.made)), first.err
    made = first.tenant
    assert {each["name"]: each["path"] for each in made["pipelines"]} == {
        name: f"/.pipelines/{name}.yml" for name in files()
    }
    assert [each["name"] for each in made["environments"]] == ["cva-dev", "cva-prod", "model-release"]
    approvals = {each["resource"]["name"]: each["settings"]["approvers"] for each in made["checks"]}
    assert approvals == {name: [{"id": "me-there"}] for name in ("cva-dev", "cva-prod", "model-release")}
    assert [(each["name"], each["content"]) for each in made["files"]] == [("model-release.key", b"a private key\n")]

    assert (second.code, second.made, second.tenant) == (0, (), made), second.err
    assert "nothing to do" in second.err


def test_each_pipeline_may_use_what_its_file_names_and_no_more(twice: tuple[Outcome, Outcome]) -> None:
    """So that no first run stops to be permitted, and a connection is for those that need it."""
    made = twice[0].tenant
    names = {each["id"]: each["name"] for each in made["pipelines"]}
    allowed = {resource: {names[each] for each in ids} for resource, ids in made["allowed"].items()}
    texts = {path.stem: path.read_text() for path in (ROOT / ".pipelines").glob("*.yml")}

    def using(word: str) -> set[str]:
        return {name for name, text in texts.items() if re.search(rf"^ *{word}", text, re.MULTILINE)}

    assert allowed == {
        "endpoint/connection-0": using(r"connection: \$\(AZURE_RM_SVC_CONNECTION\)"),
        "endpoint/connection-1": using(r"connection: \$\(WORKSPACE_SVC_CONNECTION\)"),
        "environment/1": using("environment: cva-"),
        "environment/2": using("environment: cva-"),
        "environment/3": using("environment: model-release"),
        "securefile/1": using("secureFile: model-release.key"),
    }


def test_pull_requests_run_the_pipelines_that_check_them(twice: tuple[Outcome, Outcome]) -> None:
    made = twice[0].tenant
    names = {each["id"]: each["name"] for each in made["pipelines"]}
    validating = {names[each["settings"]["buildDefinitionId"]] for each in made["policies"]}
    assert validating == {name for name, pipeline in files().items() if pipeline.get("pr", "none") != "none"}


def test_without_a_key_it_says_what_releasing_needs(devops: Callable[..., Outcome]) -> None:
    first = devops(*WHERE)
    assert first.code == 0 and first.tenant["files"] == [] and "--release-key" in first.err, first.err
    second = devops(*WHERE, "--release-key", "release.key")
    assert len(second.made) == 2 and len(second.tenant["files"]) == 1  # the file, and who may use it
    assert "a private key" not in " ".join(second.made) + second.err


def test_an_environment_without_an_approval_gets_one(devops: Callable[..., Outcome]) -> None:
    """A pipeline's run makes an environment that is not there, without any."""
    ended = devops(*WHERE, "--approver", "team-7", environments=[{"id": 1, "name": "cva-dev"}])
    assert [each["resource"]["name"] for each in ended.tenant["checks"]] == ["cva-dev", "cva-prod", "model-release"]
    assert {each["settings"]["approvers"][0]["id"] for each in ended.tenant["checks"]} == {"team-7"}
    assert len(ended.tenant["environments"]) == 3


def test_a_dry_run_makes_nothing(devops: Callable[..., Outcome], twice: tuple[Outcome, Outcome]) -> None:
    dry = devops(*WHERE, "--release-key", "release.key", "--dry-run")
    assert (dry.code, dry.made, dry.tenant["pipelines"]) == (0, (), []), dry.err
    printed = [re.sub(r" --.*", "", line) for line in re.findall("would run: az (.*)", dry.err)]
    assert printed == kinds(twice[0].made)


@pytest.mark.parametrize(
    ("arguments", "change", "code", "named"),
    [
        (WHERE, {"connections": []}, 3, "no service connection deploy-connection"),
        (WHERE, {"repository": {"id": "repo-id"}}, 3, "is empty"),
        (WHERE, {"logged_in": False}, 3, "az login"),
        ((*WHERE, "--repository", "other"), {}, 3, "there is no repository other"),
        (WHERE[:2], {}, 2, "--organization and --project"),
        ((*WHERE, "--release-key", "none.key"), {}, 2, "cva keys new"),
        ((*WHERE, "--approver", 'me"'), {}, 2, "--approver is an id"),
        ((*WHERE, "--force"), {}, 2, "is not an option"),
    ],
)
def test_what_must_come_first_is_named_and_nothing_is_made(
    devops: Callable[..., Outcome], arguments: tuple[str, ...], change: dict[str, Any], code: int, named: str
) -> None:
    ended = devops(*arguments, **change)
    assert (ended.code, ended.made) == (code, ()), ended.err
    assert named in ended.err


def test_shellcheck_finds_nothing() -> None:
    command = [str(Path(sys.executable).parent / "shellcheck"), "--external-sources", str(SCRIPT)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "")
