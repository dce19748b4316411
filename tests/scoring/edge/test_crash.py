"""Kill the puller before every file-system call, or fail the call: there is always a usable version afterwards, and the
next pull ends well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import load_bundle
from scoring.edge.admission import Signing
from scoring.edge.health import Health
from scoring.edge.publish import publish
from scoring.edge.pull import pull
from scoring.edge.registry import LocalRegistry
from scoring.edge.result import PullResult
from scoring.edge.signing import Signer
from scoring.edge.store import Store
from scoring.edge.trust import Policy, Trust, verify_release
from scoring.errors import SelfTestError, StorageError


@pytest.fixture(autouse=True)
def _in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests pull hundreds of times; what a power cut leaves is not what they are about."""
    monkeypatch.setattr("os.fsync", lambda handle: None)
    monkeypatch.setattr(
        "scoring.edge.pull.self_test", lambda folder, **_: None
    )  # reads only, and is a process each time


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

KILLED, FAILED, BROKEN = 87, 86, 99
_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.fsync", "os.write")


def run_killed_at(step: int, work: Callable[[], object], inside: Path) -> bool:
    """In a child: die without any clean-up before file-system call number `step`. True if it lived to the end."""

    def die() -> None:
        os._exit(KILLED)

    return _in_child(step, work, inside, die, KILLED)


def run_failing_at(step: int, work: Callable[[], object], inside: Path) -> bool:
    """In a child: that one call fails as on a full disk, and the work must say so. True if no call was left to fail."""

    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    return _in_child(step, work, inside, fail, FAILED)


def _in_child(step: int, work: Callable[[], object], inside: Path, then: Callable[[], None], expected: int) -> bool:
    child = os.fork()
    if child == 0:
        code = BROKEN
        try:
            reached = _arm(step, inside, then)
            work()
            code = FAILED if reached() else 0  # what failed did not matter: deleting what is old
        except StorageError:
            code = FAILED
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, expected)
    return status == 0


def _arm(step: int, inside: Path, then: Callable[[], None]) -> Callable[[], bool]:
    left = step

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            then()

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
    return lambda: left <= 0


class Device:
    """Publisher's folder and a device, at one state, to be put back there again and again."""

    def __init__(self, shelf: Any, signer: Callable[[str], Signer], folder: Path) -> None:
        self.source, self.key, self.folder = LocalRegistry(shelf.models), signer("a"), folder
        self.clean, self.dest = folder / "clean", folder / "device"
        self.registry = LocalRegistry(folder / "pub")
        self.clean.mkdir()
        self.trust = Trust().add(self.key.public)

    def publish(self, version: int, key: Signer | None) -> None:
        publish(self.source, "Caps", str(version), self.folder / "pub", signer=key)

    def pull(self, dest: Path, policy: Policy = "enforce", health: Health | None = None) -> PullResult:
        return pull(self.registry, "Caps", "latest", dest, signing=Signing(policy, self.trust), health=health)

    def again(self) -> Store:
        shutil.rmtree(self.dest, ignore_errors=True)
        shutil.copytree(self.clean, self.dest, symlinks=True)
        return Store(self.dest / "Caps")


@pytest.mark.parametrize("start", ["nothing", "version 1", "version 1 damaged", "version 2 without a signature"])
@pytest.mark.parametrize("run", [run_killed_at, run_failing_at], ids=["killed", "failing"])
def test_a_signed_pull_killed_or_failing_at_every_step(
    shelf: Any,
    signer: Callable[[str], Signer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: str,
    run: Callable[[int, Callable[[], object], Path], bool],
) -> None:
    """Enforced signatures, a health window that is passed: `current` is always whole and the next pull ends well."""
    monkeypatch.setattr("scoring.edge.health.Health.look", lambda *_: "")
    device, health = Device(shelf, signer, tmp_path), Health("http://127.0.0.1:9")
    shelf.put(1)
    device.publish(1, device.key)
    if start.startswith("version 1"):
        device.pull(device.clean)
    if start == "version 1 damaged":
        (device.clean / "Caps/versions/1/labels.json").write_bytes(b"")
    shelf.put(2)
    if start.startswith("version 2"):
        device.publish(2, None)
        device.pull(device.clean, "warn")
    device.publish(2, device.key)
    wanted = {v: (shelf.models / f"Caps/{v}/manifest.json").read_bytes() for v in (1, 2)}
    for step in range(1, 500):
        store = device.again()
        finished = run(step, lambda: device.pull(device.dest, "enforce", health), device.dest)
        if start not in ("nothing", "version 1 damaged") or store.current() == 2:
            current = load_bundle(store.root / "current").path / "manifest.json"
            assert current.read_bytes() == wanted[store.current() or 0], f"step {step}"
        assert device.pull(device.dest, "enforce", health).version == 2
        release = verify_release(store.root / "current", device.trust, name="Caps", version=2)
        load_bundle(store.root / "current", manifest_sha256=release.manifest_sha256)
        assert not list(store.incoming.iterdir()), f"step {step}"
        assert store.state().previous == (1 if start.startswith("version 1") else None), f"step {step}"
        if finished:
            break
    assert finished and step > (5 if start.startswith("version 2") else 30)


@pytest.mark.parametrize("run", [run_killed_at, run_failing_at], ids=["killed", "failing"])
def test_a_way_back_killed_or_failing_at_every_step(
    shelf: Any,
    signer: Callable[[str], Signer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[int, Callable[[], object], Path], bool],
) -> None:
    """The health window is not passed: in the end the version before is current, wherever the way back was cut."""
    monkeypatch.setattr("scoring.edge.health.Health.wait", lambda *_: "it does not answer")
    device, health = Device(shelf, signer, tmp_path), Health("http://127.0.0.1:9")
    for version in (1, 2):
        shelf.put(version)
        device.publish(version, device.key)
        if version == 1:
            device.pull(device.clean)

    def refused() -> None:
        with contextlib.suppress(SelfTestError):
            device.pull(device.dest, "enforce", health)

    for step in range(1, 500):
        store = device.again()
        finished = run(step, refused, device.dest)
        load_bundle(store.root / "current")
        assert store.state().current == 1, f"step {step}"
        refused()
        load_bundle(store.root / "current")
        assert (store.current(), store.state().current) == (1, 1), f"step {step}"
        assert list(store.state().rejected.values()) == ["it does not answer"], f"step {step}"
        if finished:
            break
    assert finished and step > 30
