"""Kill the puller before every file-system call: there is always a usable version, and the next pull ends well."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import load_bundle
from scoring.edge.pull import pull
from scoring.edge.registry import LocalRegistry
from scoring.edge.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

KILLED = 87
_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.fsync", "os.write")


def run_killed_at(step: int, work: Callable[[], object], inside: Path) -> bool:
    """In a child: die without any clean-up before file-system call number `step`. True if it lived to the end."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            _arm(step, inside)
            work()
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED)
    return status == 0


def _arm(step: int, inside: Path) -> None:
    left = step

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(KILLED)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        writing = event == "open" and len(args) > 2 and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if event in _EVENTS or (writing and str(inside) in str(args[0])):
            tick()

    real = os.fsync

    def counted(handle: int) -> None:
        tick()
        real(handle)

    sys.addaudithook(hook)
    os.fsync = counted  # type: ignore[assignment]  # it raises no audit event


@pytest.mark.parametrize("start", ["nothing", "version 1", "version 1 damaged"])
def test_killed_at_every_step(shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    monkeypatch.setattr("scoring.edge.pull.self_test", lambda folder: None)  # reads only; a process a step is too much
    registry = LocalRegistry(shelf.models)
    shelf.put(1)
    clean, device = tmp_path / "clean", tmp_path / "device"
    clean.mkdir()
    if start != "nothing":
        pull(registry, "Caps", "1", clean)
    if start == "version 1 damaged":
        (clean / "Caps/versions/1/labels.json").write_bytes(b"")
    shelf.put(2)
    wanted = {v: (shelf.models / f"Caps/{v}/manifest.json").read_bytes() for v in (1, 2)}
    for step in range(1, 500):
        shutil.rmtree(device, ignore_errors=True)
        shutil.copytree(clean, device, symlinks=True)
        finished = run_killed_at(step, lambda: pull(registry, "Caps", "latest", device), device)
        store = Store(device / "Caps")
        if start == "version 1" or store.current() == 2:
            current = load_bundle(store.root / "current").path / "manifest.json"
            assert current.read_bytes() == wanted[store.current() or 0], f"killed at {step}"
        assert pull(registry, "Caps", "latest", device).version == 2
        load_bundle(store.root / "current")
        assert not list(store.incoming.iterdir()), f"killed at {step}"
        assert sorted(p.name for p in store.versions.iterdir()) == (["2"] if start == "nothing" else ["1", "2"])
        assert store.state().previous == (None if start == "nothing" else 1)
        if finished:
            break
    assert finished and step > 30  # the last run was not killed, and the ones before it were
