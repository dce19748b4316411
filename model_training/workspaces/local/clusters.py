"""The compute that a local workspace has: `local`, this machine's worker processes. Imports nothing heavy."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

from scoring.errors import NotFoundError


@dataclass(frozen=True)
class Cluster:
    name: str
    cores: int
    memory_bytes: int
    gpus: tuple[str, ...]


def clusters() -> tuple[Cluster, ...]:
    return (Cluster("local", cores(), memory_bytes(), gpus()),)


def check_cluster(name: str) -> None:
    """Raises: NotFoundError that lists the clusters there are."""
    if name != "local":
        raise NotFoundError(
            f"there is no cluster {name!r}; clusters: local",
            hint="this workspace is a folder of this machine: use --cluster local",
        )


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gpus() -> tuple[str, ...]:
    """Names as the driver's own tool prints them; none where it is not installed."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return ()
    command = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines()) if answer.returncode == 0 else ()
