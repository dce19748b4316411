"""The servers that are compared, each started as its own makers say, and the loop without any."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import load, processes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LITSERVE = HERE / ".venv-litserve"
START_SECONDS = 90


@dataclass(frozen=True)
class Contestant:
    """`workers` are images scored at the same time: threads in ours, processes in the others."""

    name: str
    kind: str
    workers: int

    def command(self, folder: Path, port: int) -> list[str]:
        python = str(LITSERVE / "bin" / "python") if self.kind == "litserve" else sys.executable
        ours = ["model_training.cli.main", "serve", "--bundle", str(folder / "bundle"), "--port", str(port)]
        theirs = ["azureml_inference_server_http", "--entry_script", str(HERE / "entry_azureml.py")]
        ports = ["--port", str(port), "--health_port", str(free_port())]
        modules = {
            "cva": [*ours, "--workers", str(self.workers)],
            "azureml": [*theirs, *ports, "--worker_count", str(self.workers)],
            "litserve": ["benchmarks.serving.entry_litserve", str(port), str(self.workers)],
        }
        return [python, "-m", *modules[self.kind]]


ALL = (
    Contestant("cva", "cva", 2),
    Contestant("cva-1", "cva", 1),
    Contestant("azureml-1", "azureml", 1),
    Contestant("azureml-2", "azureml", 2),
    Contestant("litserve-1", "litserve", 1),
    Contestant("litserve-2", "litserve", 2),
)


@dataclass
class Running:
    contestant: Contestant
    port: int
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid


def start(contestant: Contestant, folder: Path, logs: Path) -> Running:
    """Started, and it has answered once."""
    port = free_port()
    with (logs / f"{contestant.name}.log").open("w") as log:
        command = contestant.command(folder, port)
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, text=True, cwd=logs, env=surroundings(folder)
        )
    running = Running(contestant, port, process)
    if has_answered(port, process, folder):
        return running
    raise SystemExit(f"{contestant.name} did not start within {START_SECONDS} s: see {logs / contestant.name}.log")


def has_answered(port: int, process: subprocess.Popen[str], folder: Path) -> bool:
    """Waits for the first answer; what gives none is ended."""
    [first, *_] = load.requests(port, "raw", folder / "pictures")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            load.ask(port, first)
            return True
        except (OSError, SystemExit):
            time.sleep(0.2)
    processes.end(process)
    return False


def surroundings(folder: Path) -> dict[str, str]:
    """The same for all. Stopped servers must not be killed by their own watchdogs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CVA_", "AZUREML_", "KEY"))}
    own = {"CVA_BENCH_FOLDER": str(folder), "PYTHONPATH": str(ROOT), "WORKER_TIMEOUT": "3600", "OMP_NUM_THREADS": "1"}
    return {**kept, **own, "AML_APP_ROOT": str(HERE)}


def make_litserve() -> None:
    """Its environment, made once a change of its requirements."""
    wanted = HERE / "requirements-litserve.txt"
    stamp = LITSERVE / "made-from.txt"
    if stamp.is_file() and stamp.read_text() == wanted.read_text():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(LITSERVE)], check=True)
    pip = [str(LITSERVE / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(wanted)], check=True)
    stamp.write_text(wanted.read_text())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
