"""A device: `pip install .` of a clone into an empty environment; then it scores and serves, without torch."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PICTURES, BUNDLE = ROOT / "samples" / "pictures", ROOT / "samples" / "Cap_Detection_Model"
PYTHONS = ("python3.10", "python3.11", "python3.12")  # what pyproject.toml allows
NO_INDEX = "pip reaches no package index here"
TIMEOUT_SECONDS = 600


@pytest.fixture(params=PYTHONS)
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of the commands that the installation made."""
    python = sys.executable if request.param == f"python3.{sys.version_info[1]}" else shutil.which(request.param)
    if not python or run([python, "-c", "import venv"]).returncode:
        pytest.skip(f"no {request.param} on this machine")
    run([python, "-m", "venv", str(tmp_path / "device")])
    commands, clone = tmp_path / "device" / "bin", tmp_path / "clone"
    copy_clone(clone)
    pip = [str(commands / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    done = run([*pip, "install", "--no-compile", str(clone)])
    if done.returncode and run([*pip, "download", "--no-deps", "six==1.17.0", "--dest", str(tmp_path)]).returncode:
        pytest.skip(f"{NO_INDEX} to install the project")  # not even that one
    assert done.returncode == 0, done.stderr[-4000:]
    return commands


def test_a_device_scores_and_serves(device: Path, tmp_path: Path) -> None:
    installed = run([str(device / "python"), "-m", "pip", "list", "--format", "freeze"]).stdout.lower()
    assert "cv-accelerator==" in installed
    assert not {"torch", "mlflow", "azure-ai-ml", "azureml-core"} & {line.split("==")[0] for line in installed.split()}
    scored = run([str(device / "cva"), "score", str(PICTURES), "--bundle", str(BUNDLE), "--json"])
    assert scored.returncode == 0, scored.stderr
    answer = json.loads(scored.stdout)
    assert [Path(each["filename"]).name for each in answer] == sorted(path.name for path in PICTURES.iterdir())
    assert all(each["boxes"] for each in answer)
    picture = next(path for path in PICTURES.iterdir() if path.name == Path(answer[0]["filename"]).name)
    assert len(served(device, picture)) == len(answer[0]["boxes"])


def served(device: Path, picture: Path) -> list[object]:
    """The boxes of one picture, by `cva serve`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(device / "cva"), "serve", "--bundle", str(BUNDLE), "--port", str(port)]
    with subprocess.Popen(command, env=surroundings(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        try:
            return list(ask(port, picture, server)[0]["boxes"])
        finally:
            server.terminate()


def ask(port: int, picture: Path, server: subprocess.Popen[bytes]) -> list[dict[str, list[object]]]:
    body = urllib.request.Request(
        f"http://127.0.0.1:{port}/score", picture.read_bytes(), {"Content-Type": "image/jpeg"}
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(body, timeout=30) as answer:
                value: list[dict[str, list[object]]] = json.load(answer)
                return value
        except OSError:
            if time.monotonic() > deadline or server.poll() is not None:
                raise
            time.sleep(0.2)


def copy_clone(folder: Path) -> None:
    """What a clone holds: git's files, as they are now."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("samples/", "tests/", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def surroundings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CVA_", "VIRTUAL"))}


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=surroundings(), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
