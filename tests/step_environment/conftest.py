"""The environment that the published step has on Azure: Python and requirements/step.txt, nothing of this project."""

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
KEPT = ROOT / ".venv-step"  # one folder a content of the file; CVA_STEP_ENVIRONMENTS names another place
TIMEOUT_SECONDS = 900


@pytest.fixture(scope="session")
def step_python() -> str:
    """The interpreter of an environment made from step.txt alone: made once for each content of the file, then kept."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    kept = Path(os.environ.get("CVA_STEP_ENVIRONMENTS", KEPT))
    kept.mkdir(parents=True, exist_ok=True)
    python = kept / digest / "bin" / "python"
    with FileLock(kept / "lock"):  # another run of the tests may be making it
        if not (kept / digest / "ready").is_file():
            for old in kept.glob("*/"):  # of another content, or of an attempt that was killed
                shutil.rmtree(old)
            venv.create(kept / digest, with_pip=True, symlinks=True)
            _install(python)
            (kept / digest / "ready").touch()
    return str(python)


def _install(python: Path) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", str(REQUIREMENTS)]
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, env=surroundings, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    if done.returncode and not _index_is_there(python):
        pytest.skip("pip reaches no package index here to install requirements/step.txt")
    assert done.returncode == 0, done.stderr[-4000:]


def _index_is_there(python: Path) -> bool:
    """Asked for a package that is surely there; a set that does not resolve is a failure and no skip."""
    command = [
        str(python),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "download",
        "--no-deps",
        "--quiet",
        "six==1.17.0",
    ]
    done = subprocess.run([*command, "--dest", str(python.parent.parent / "asked")], capture_output=True, check=False)
    return done.returncode == 0
