"""Trials as processes of this machine: device, threads, environment and log of each. Knows nothing of a study."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Protocol

TRIAL = (sys.executable, "-m", "model_training.training.trial")
# Freed blocks stay with the process, or each step would give its activations back to the kernel and ask for them again.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
SECONDS_TO_END = 2.0  # between a polite end and a kill


class Handle(Protocol):
    """A trial that was started."""

    def poll(self) -> int | None: ...
    def terminate(self) -> None: ...
    def wait(self, seconds: float) -> None: ...


class Executor(Protocol):
    """Somewhere that trials can be started."""

    device: str  # cpu | cuda, as a trial is told

    def capacity(self, wanted: int) -> int: ...
    def threads(self, concurrent: int) -> int: ...
    def start(self, folder: Path, *, slot: int, threads: int) -> Handle: ...


class Process:
    """One running trial."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Until it has ended, which is made sure of after some seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def end_all(handles: Sequence[Handle]) -> None:
    """End them together: politely, then not."""
    for handle in handles:
        handle.terminate()
    for handle in handles:
        handle.wait(SECONDS_TO_END)


class Processes:
    """Trials on this machine's GPUs in turn, or on its processor cores."""

    def __init__(self, device: str = "", *, threads: int | None = None, command: Sequence[str] = TRIAL) -> None:
        self.gpus = () if device == "cpu" else visible_gpus()
        self.device = "cuda" if self.gpus else "cpu"
        self._threads = threads
        self._command = tuple(command)

    def capacity(self, wanted: int) -> int:
        """How many trials may run at once: never more than wanted, nor than cores where cores do the work."""
        return wanted if self.gpus else max(1, min(wanted, cores()))

    def threads(self, concurrent: int) -> int:
        """Threads for each trial; OMP_NUM_THREADS of the caller is an upper bound."""
        if self._threads:
            return self._threads
        share = max(1, cores() // max(1, concurrent))
        asked = os.environ.get("OMP_NUM_THREADS", "")
        return min(share, int(asked)) if asked.isdigit() and int(asked) > 0 else share

    def start(self, folder: Path, *, slot: int, threads: int) -> Process:
        """Start or resume the trial of a folder; what it says goes to its log."""
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [*self._command, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(slot, threads),
                start_new_session=True,  # ctrl-C is for the controller, which ends its trials
            )
        return Process(process)

    def _environment(self, slot: int, threads: int) -> Mapping[str, str]:
        count = str(threads)
        own = {
            "OMP_NUM_THREADS": count,
            "MKL_NUM_THREADS": count,
            "OPENBLAS_NUM_THREADS": count,
            **KEEP_MEMORY,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [_root(), os.environ.get("PYTHONPATH", "")])),
            "CUDA_VISIBLE_DEVICES": self.gpus[slot % len(self.gpus)] if self.gpus else "",
        }
        return {**os.environ, **own}


def _root() -> str:
    """Where `model_training` lies, so that a trial finds the same one."""
    return str(Path(__file__).resolve().parents[2])


def cores() -> int:
    """Processor cores this process may use, a container's quota included."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(available, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max"
        return available


def visible_gpus() -> tuple[str, ...]:
    """The GPUs a trial could use, by the index that CUDA knows; asks the driver, never imports torch."""
    if _torch_has_no_cuda() or shutil.which("nvidia-smi") is None:
        return ()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return tuple(item.strip() for item in listed.split(",") if item.strip() not in ("", "-1"))
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(answer.stdout.split())


def _torch_has_no_cuda() -> bool:
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return True
