"""infrastructure/ by Checkov, whose policies somebody else wrote: nothing fails, and each skip is of use.

One run reads our files and copies with faults. It is offline: no account, no list of policies from a server, and a
proxy where nobody listens.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.bicep.testing import PROJECT
from tests.step_environment.environment import interpreter

REQUIREMENTS = PROJECT / "requirements" / "checkov.txt"
KEPT = PROJECT / ".venv-checkov"  # CVA_CHECKOV_ENVIRONMENTS names another place
NOBODY = "http://127.0.0.1:9"
SKIP = re.compile(r"checkov:skip=(\w+):\S")
Result = dict[str, list[dict[str, Any]]]

# Module, edit, and the policies that must speak.
FAULTS = {
    "storage": [
        ("supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false", {"CKV_AZURE_3"}),
        ("'TLS1_2'", "'TLS1_0'", {"CKV_AZURE_44"}),
    ],
    "key-vault": [
        ("enablePurgeProtection: true", "enablePurgeProtection: false", {"CKV_AZURE_42", "CKV_AZURE_110"}),
    ],
    "registry": [("adminUserEnabled: false", "adminUserEnabled: true", {"CKV_AZURE_137"})],
    "web-app": [
        ("httpsOnly: true", "httpsOnly: false", {"CKV_AZURE_14", "CKV_AZURE_70", "CKV_AZURE_153"}),
        (" minTlsVersion: '1.2'", " minTlsVersion: '1.0'", {"CKV_AZURE_15", "CKV_AZURE_145"}),
        ("ftpsState: 'Disabled'", "ftpsState: 'AllAllowed'", {"CKV_AZURE_78"}),
        ("remoteDebuggingEnabled: false", "remoteDebuggingEnabled: true", {"CKV_AZURE_72", "CKV_AZURE_155"}),
    ],
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Checks that passed, failed or were skipped, and files that could not be read."""
    folder = tmp_path_factory.mktemp("checkov")
    shutil.copytree(PROJECT / "infrastructure", folder / "infrastructure")
    (folder / "seeded").mkdir()
    for module, edits in FAULTS.items():
        text = (PROJECT / "infrastructure" / "modules" / f"{module}.bicep").read_text(encoding="utf-8")
        for find, replace, _ in edits:
            assert text.count(find) == 1, f"{find!r} occurs {text.count(find)} times in {module}.bicep"
            text = text.replace(find, replace)
        (folder / "seeded" / f"{module}.bicep").write_text(text, encoding="utf-8")
    results: Result = checkov(folder)["results"]
    return results


@cache
def python() -> Path:
    return Path(interpreter(REQUIREMENTS, Path(os.environ.get("CVA_CHECKOV_ENVIRONMENTS", KEPT))))


def checkov(folder: Path) -> dict[str, Any]:
    offline = {"HTTPS_PROXY": NOBODY, "HTTP_PROXY": NOBODY, "ALL_PROXY": NOBODY}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **offline}
    command = [str(python()), str(python().with_name("checkov")), "--directory", ".", "--framework", "bicep"]
    command += ["--skip-download", "--compact", "--output", "json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, f"the seeded faults make it 1; it was {done.returncode}\n{done.stdout}\n{done.stderr}"
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def ours(checks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    rows = [
        (each["file_path"].rpartition("/")[2], each["check_id"])
        for each in checks
        if "/seeded/" not in each["file_path"]
    ]
    return sorted(set(rows))


def test_its_list_pins_all_that_it_needs() -> None:
    program = "from importlib.metadata import distributions as d; [print(f'{e.name}=={e.version}') for e in d()]"
    done = subprocess.run([str(python()), "-I", "-c", program], capture_output=True, text=True, check=True, timeout=120)
    named = [line.partition("==") for line in done.stdout.split()]
    installed = {f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}" for name, _, version in named}
    listed = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert {pin for pin in installed if not pin.startswith(("pip==", "setuptools=="))} == set(listed)
    assert listed == sorted(listed)


def test_nothing_fails_in_our_files(found: Result) -> None:
    assert found["parsing_errors"] == []
    assert ours(found["failed_checks"]) == []
    assert ours(found["passed_checks"])


def test_what_is_skipped_says_why_and_would_fail(found: Result) -> None:
    """Checkov only tells of a skip where its policy applies: a comment that it does not tell of is out of date."""
    files = sorted((PROJECT / "infrastructure").rglob("*.bicep"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    assert sum(text.count("checkov:") for text in texts.values()) == sum(len(SKIP.findall(t)) for t in texts.values())
    assert ours(found["skipped_checks"]) == sorted((name, id) for name, t in texts.items() for id in SKIP.findall(t))


@pytest.mark.parametrize("module", FAULTS)
def test_seeded_faults_are_found(found: Result, module: str) -> None:
    failed = {each["check_id"] for each in found["failed_checks"] if each["file_path"] == f"/seeded/{module}.bicep"}
    assert failed == set().union(*(policies for _, _, policies in FAULTS[module]))
