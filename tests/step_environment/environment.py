"""The environment that the published step has on Azure: Python and requirements/step.txt, nothing of this project.

For tests anywhere below `tests/`: `from tests.step_environment.environment import step_python` in their conftest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements" / "step.txt"
KEPT = ROOT / ".venv-step"  # CVA_STEP_ENVIRONMENTS names another place
TIMEOUT_SECONDS = 900


@pytest.fixture(scope="session")
def step_python() -> str:
    return interpreter(REQUIREMENTS, Path(os.environ.get("CVA_STEP_ENVIRONMENTS", KEPT)))


def interpreter(requirements: Path, kept: Path) -> str:
    """That of an environment made of one list alone: made once for each content of the list, then kept."""
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    kept.mkdir(parents=True, exist_ok=True)
    python = kept / digest / "bin" / "python"
    with FileLock(kept / "lock"):  # another run of the tests may be making it
        if not (kept / digest / "ready").is_file():
            for old in kept.glob("*/"):  # of another content, or of an attempt that was killed
                shutil.rmtree(old)
            venv.create(kept / digest, with_pip=True, symlinks=True)
            _install(python, requirements)
            (kept / digest / "ready").touch()
    return str(python)


def _install(python: Path, requirements: Path) -> None:
    """As Azure ML does it; without compiling, which costs a minute for the few modules that are ever imported."""
    done = _pip(python, "install", "--no-compile", "-r", str(requirements))
    if done.returncode and _pip(python, "download", "--no-deps", "six==1.17.0", "--dest", f"{python}-asked").returncode:
        pytest.skip(f"pip reaches no package index here to install requirements/{requirements.name}")  # not even that
    assert done.returncode == 0, done.stderr[-4000:]


def _pip(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *words],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
