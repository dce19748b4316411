"""Registration is all or nothing: killed before each of its writes, on a full disk, by four processes at once."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model_training.workspaces.local import LocalWorkspace
from scoring.errors import StorageError
from tests.contracts.bundles import decision, tiny_bundle

HERE = Path(__file__).parent


def answer(script: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return value


def test_killed_before_any_write_a_version_is_whole_or_not_there(tmp_path: Path) -> None:
    done = answer("kill_points.py", str(tmp_path))
    assert [each["problems"] for each in done.values()] == [[], []]
    assert done["register"]["points"] > 30  # copying, renaming, MLflow's commits, the mirror, cleaning up
    assert done["promote"]["points"] > 12  # the same without a bundle


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No file may grow beyond that: what a write meets on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def workspace(tmp_path: Path, mlflow_tables: bytes) -> LocalWorkspace:
    workspace = LocalWorkspace.open(tmp_path / "ws")
    workspace.layout.mlflow.write_bytes(mlflow_tables)
    workspace.models.register(tiny_bundle(tmp_path / "1"), decision(), name="M", run_id="a")
    return workspace


def test_a_disk_that_fills_up_while_copying_leaves_nothing(workspace: LocalWorkspace, tmp_path: Path) -> None:
    large = tiny_bundle(tmp_path / "2", model=b"x" * (4 << 20))
    with at_most(3 << 20), pytest.raises(OSError, match="too large"):
        workspace.models.register(large, decision(), name="M", run_id="b")
    assert list(workspace.layout.models.glob("*/.*")) == []
    assert workspace.models.register(large, decision(), name="M", run_id="b").version == 2


def test_a_disk_that_fills_up_under_mlflow_leaves_work_that_is_finished_later(
    workspace: LocalWorkspace, tmp_path: Path
) -> None:
    with at_most(1 << 16), pytest.raises(StorageError, match=r"mlflow\.db"):
        workspace.models.register(tiny_bundle(tmp_path / "2", model=b"2"), decision(), name="M", run_id="b")
    assert workspace.models.get("M@latest").version == 1  # readers see none of it
    again = LocalWorkspace.open(workspace.path)
    assert again.models.get("M@latest").version == 2
    assert sorted(again.tracking.versions("M")) == [1, 2]
    assert list(workspace.layout.models.glob("*/.*")) == []


def test_four_processes_open_a_new_workspace_and_register_at_once(tmp_path: Path) -> None:
    done = answer("crowd.py", str(tmp_path))
    assert done == {"codes": [0, 0, 0, 0], "versions": [1, 2, 3, 4], "mlflow": [1, 2, 3, 4]}
