"""Registration is all or nothing: killed before each of its writes, and done by four processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def answer(script: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return value


@pytest.mark.parametrize(
    ("action", "at_least"),
    [
        ("register", 30),  # copying, renaming, MLflow's commits, the mirror, cleaning up
        ("promote", 12),  # the same without a bundle
    ],
)
def test_killed_before_any_write_it_is_whole_or_not_there(tmp_path: Path, action: str, at_least: int) -> None:
    done = answer("kill_points.py", str(tmp_path), action)
    assert done["problems"] == []
    assert done["points"] >= at_least


def test_four_processes_open_a_new_workspace_and_register_at_once(tmp_path: Path) -> None:
    done = answer("crowd.py", str(tmp_path))
    assert done == {"codes": [0, 0, 0, 0], "versions": [1, 2, 3, 4], "mlflow": [1, 2, 3, 4]}
