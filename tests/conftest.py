"""Fixtures for every test: real data where it lies beside the project, a workspace of the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's workspace, and none leaves its folder."""
    monkeypatch.setenv("CVA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def bccd() -> Path:
    """The BCCD data set (Pascal VOC), which lies beside the project and is never copied into it."""
    path = Path(os.environ.get("CVA_BCCD", ROOT.parent / "shared" / "data" / "bccd"))
    if not (path / "Annotations").is_dir():
        pytest.skip(f"the BCCD photographs are not at {path} (set CVA_BCCD)")
    return path
