"""A server's whole process tree: its CPU time, its memory, and holding it still while others are measured. Linux."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and everything it started that still runs, parents first."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*"):
            found += [int(child) for child in _read(task / "children").split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, and of children that have ended and were waited for."""
    return sum(sum(_times(each)) for each in tree(pid))


def busy_seconds() -> float:
    """CPU that the whole machine has spent, and what its host took from it: beyond a block's own it is others'."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, _read(Path("/proc/stat")).split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICK


def memory(pid: int) -> dict[str, float]:
    """MiB. PSS counts a page that n processes share as 1/n in each; RSS counts it whole in each."""
    total = {"pss": 0, "rss": 0}
    for each in tree(pid):
        for line in _read(Path(f"/proc/{each}/smaps_rollup")).splitlines():
            name, _, rest = line.partition(":")
            if name.lower() in total:
                total[name.lower()] += int(rest.split()[0])
    return {name: kib / 1024 for name, kib in total.items()} | {"processes": len(tree(pid))}


def hold(pid: int) -> None:
    _signal(tree(pid), signal.SIGSTOP)


def go_on(pid: int) -> None:
    _signal(tree(pid)[::-1], signal.SIGCONT)


def end(process: subprocess.Popen[str]) -> None:
    """Stop it kindly, then whatever of it is left."""
    every = tree(process.pid)
    go_on(process.pid)
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _signal([each for each in every[1:] if Path(f"/proc/{each}").exists()], signal.SIGKILL)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _times(pid: int) -> list[float]:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return [int(each) / TICK for each in fields[11:15]]  # utime, stime, cutime, cstime


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
