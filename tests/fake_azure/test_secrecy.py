"""A secret that the fake gave out is found wherever it is seen, and the recorder hears every process below a test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_azure.azure import FakeAzure
from tests.fake_azure.secrecy import check_everything, check_records
from tests.fake_azure.state import RunRecord

Leak = Callable[[FakeAzure, Path, str], None]


def said(azure: FakeAzure, folder: Path, secret: str) -> None:
    azure.said.append(f"Authorization: Bearer {secret}")


def in_a_file(azure: FakeAzure, folder: Path, secret: str) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "azureml.log").write_text(f"GET https://x/?sig={secret}")


def in_a_tag(azure: FakeAzure, folder: Path, secret: str) -> None:
    azure.state.runs["r"] = RunRecord("r", "caps", tags={"cva_error": f"401 for {secret}"})


def in_a_blob(azure: FakeAzure, folder: Path, secret: str) -> None:
    azure.blobs.put(azure.state.artifact_container, "snapshots/1/step.py", f"KEY = '{secret}'".encode())


def in_an_argument(azure: FakeAzure, folder: Path, secret: str) -> None:
    """Of a process that a process of the test started."""
    given = azure.environment(A_SECRET=secret)
    program = "import os, subprocess; subprocess.run(['true', '--password=' + os.environ['A_SECRET']], check=True)"
    subprocess.run([sys.executable, "-c", program], env=given, check=True, timeout=60)


def secrets_of(azure: FakeAzure) -> dict[str, str]:
    """One of each kind."""
    address = azure.blobs.sas_url(azure.state.default_container)
    return {
        "a token": azure.tokens.access("https://ml.azure.com", object_id="o", client_id="c"),
        "a signature of an address": address.partition("&sig=")[2].partition("&")[0],
        "an account key": azure.azurite.keys[azure.state.account],
        "the identity's secret": azure.state.identity_secret,
        "the pipeline's own token": azure.state.system_access_token,
    }


@pytest.mark.parametrize("leak", [said, in_a_file, in_a_tag, in_a_blob, in_an_argument])
def test_a_secret_is_found_where_it_is_seen(azure: FakeAzure, tmp_path: Path, leak: Leak) -> None:
    check_everything(azure, azure.said, tmp_path)
    leak(azure, tmp_path, secrets_of(azure)["a token"])
    with pytest.raises(AssertionError, match="a token in "):
        check_everything(azure, azure.said, tmp_path)
    azure.reset()  # or the fixture would find it, too


def test_every_kind_of_secret_is_known(azure: FakeAzure) -> None:
    federated = azure.tokens.federated(azure.state.subject)
    for name, secret in {**secrets_of(azure), "a token": federated}.items():
        assert azure.secrets.seen_in(f"before {secret} after") == [name]
    assert azure.secrets.seen_in("nothing of that kind") == []


def test_the_fixture_looks_at_argument_lists_and_records(azure: FakeAzure, tmp_path: Path) -> None:
    for leak in (in_an_argument, in_a_tag):
        leak(azure, tmp_path, azure.state.identity_secret)
        with pytest.raises(AssertionError, match="the identity's secret in "):
            check_records(azure)
        azure.reset()


def test_the_argument_lists_of_all_processes_are_heard(azure: FakeAzure) -> None:
    """The test's own, what it starts in each way, and what those start; whatever PYTHONPATH a test wants."""
    inner = "import os; os.system('true system'); os.posix_spawnp('true', ['true', 'spawned'], os.environ)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    outer += "; import os; os.execvp('true', ['true', 'replaced'])"
    given = azure.on_cluster(PYTHONPATH="/nowhere")
    subprocess.run([sys.executable, "-c", outer], env=given, check=True, timeout=60)
    heard = list(azure.arguments)
    assert [sys.executable, "-c", outer] in heard and [sys.executable, "-c", inner] in heard
    assert ["true system"] in heard and ["true", "spawned"] in heard and ["true", "replaced"] in heard
    assert given["PYTHONPATH"].endswith(":/nowhere")
