"""Room for a version: what a manifest states counts, else an estimate; what the system does not tell is not guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import load_bundle
from scoring.edge import room
from scoring.errors import IncompatibleError, StorageError
from scoring.manifest import Manifest

MIB = 1 << 20


@pytest.fixture
def manifest(tiny_bundle: Callable[..., Path]) -> Callable[..., Manifest]:
    return lambda name="bundle", **runtime: (
        load_bundle(tiny_bundle(name, runtime={"onnxruntime": ">=1.20", **runtime})).manifest
    )


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What Linux tells, in MiB."""
    monkeypatch.setattr(room, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(room, "_CGROUP", tmp_path)

    def tell(available: int | None, limit: str = "max", used: int = 0, cache: tuple[int, int] = (0, 0)) -> None:
        line = "" if available is None else f"MemTotal: 99 kB\nMemAvailable: {available * 1024} kB\n"
        (tmp_path / "meminfo").write_text(line)
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{used * MIB}\n")
        lines = {"anon": 7, "file": sum(cache), "inactive_file": cache[0], "active_file": cache[1], "inactive_anon": 5}
        (tmp_path / "memory.stat").write_text("".join(f"{name} {size * MIB}\n" for name, size in lines.items()))

    return tell


def test_the_least_of_system_and_container_counts(system: Callable[..., None], tmp_path: Path) -> None:
    system(100)
    assert room.available_memory() == 100 * MIB
    system(100, limit=str(80 * MIB), used=30)
    assert room.available_memory() == 50 * MIB
    system(40, limit=str(80 * MIB), used=30)
    assert room.available_memory() == 40 * MIB
    system(None)
    assert room.available_memory() is None
    (tmp_path / "meminfo").unlink()
    assert room.available_memory() is None


def test_cached_files_are_no_use_of_memory(system: Callable[..., None], tmp_path: Path) -> None:
    """What was just downloaded lies in the cache: it gives way."""
    system(100, limit=str(80 * MIB), used=79, cache=(40, 10))
    assert room.available_memory() == 51 * MIB
    system(100, limit=str(80 * MIB), used=30, cache=(70, 70))  # more than there can be
    assert room.available_memory() == 80 * MIB
    (tmp_path / "memory.stat").write_text("inactive_file\nactive_file much\n")
    assert room.available_memory() == 50 * MIB
    (tmp_path / "memory.stat").unlink()
    system(100, limit=str(80 * MIB), used=90)
    assert room.available_memory() == 0


def test_memory_is_what_the_manifest_states_or_three_times_the_graph(
    system: Callable[..., None], manifest: Callable[..., Manifest]
) -> None:
    system(100)
    room.check_memory(manifest("fits", memory_bytes=100 * MIB))
    with pytest.raises(IncompatibleError, match=r"101 MiB of memory \(its manifest states it\), 100 MiB"):
        room.check_memory(manifest("large", memory_bytes=101 * MIB))
    plain = manifest("plain")
    [graph] = [entry.bytes for entry in plain.files if entry.path == "model.onnx"]
    assert room.needed_memory(plain) == (3 * graph, "an estimate: 3 times model.onnx")
    system(0)
    with pytest.raises(IncompatibleError, match="an estimate"):
        room.check_memory(plain)
    system(None)
    room.check_memory(plain)


@pytest.mark.parametrize("stated", [True, "1", -1, 0, None, 1.5])
def test_what_states_no_number_is_not_believed(manifest: Callable[..., Manifest], stated: Any) -> None:
    assert "estimate" in room.needed_memory(manifest(memory_bytes=stated))[1]


def test_disk(tmp_path: Path) -> None:
    room.check_disk(tmp_path, 1)
    with pytest.raises(StorageError, match="bytes free"):
        room.check_disk(tmp_path, 1 << 60)
