"""Is there room for a version on this device: disk for its files, memory for its model. Reads no registry."""

from __future__ import annotations

import shutil
from pathlib import Path

from scoring.errors import IncompatibleError, StorageError
from scoring.manifest import Manifest

SPARE_BYTES = 64 << 20  # what is left free beside the files themselves
MEMORY_FACTOR = 3  # of model.onnx: its bytes while loading, the weights, what the runtime packs and computes in
MIB = 1 << 20
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_CACHE = ("inactive_file", "active_file")  # of memory.stat


def check_disk(folder: Path, total: int) -> None:
    """Raises: StorageError."""
    free = shutil.disk_usage(folder).free
    if free < total + SPARE_BYTES:
        raise StorageError(
            f"expected {total + SPARE_BYTES} bytes free in {folder}, found {free}",
            hint="free some space; the version in use stays",
        )


def check_memory(manifest: Manifest) -> None:
    """`runtime.memory_bytes` of the manifest where it states one, else an estimate from the size of the graph.

    Says nothing where this system does not tell what is available. Raises: IncompatibleError.
    """
    here = available_memory()
    needed, how = needed_memory(manifest)
    if here is not None and needed > here:
        raise IncompatibleError(
            f"{manifest.name} needs {needed // MIB} MiB of memory ({how}), {here // MIB} MiB are available",
            hint="end other programs, or pull a version with a smaller model",
        )


def needed_memory(manifest: Manifest) -> tuple[int, str]:
    stated = manifest.raw["runtime"].get("memory_bytes")
    if type(stated) is int and stated > 0:
        return stated, "its manifest states it"
    graph = sum(entry.bytes for entry in manifest.files if entry.path == "model.onnx")
    return MEMORY_FACTOR * graph, f"an estimate: {MEMORY_FACTOR} times model.onnx"


def available_memory() -> int | None:
    """What Linux says is available, within the container's limit; None on other systems."""
    lines = _text(_MEMINFO).splitlines()
    found = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    limit, used = _text(_CGROUP / "memory.max").strip(), _text(_CGROUP / "memory.current").strip()
    if limit.isdigit() and used.isdigit():
        found.append(min(int(limit), max(0, int(limit) - int(used) + _reclaimable())))
    return min(found, default=None)


def _reclaimable() -> int:
    """Cached files count as used, a bundle that was just downloaded too, and make room as soon as anybody needs it."""
    fields = (line.split() for line in _text(_CGROUP / "memory.stat").splitlines())
    return sum(int(each[1]) for each in fields if len(each) == 2 and each[0] in _CACHE and each[1].isdigit())


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
