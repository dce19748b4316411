"""Pulling from a real folder: every exit code of the contract, and what is on the device afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import load_bundle, write_manifest
from scoring.edge.backoff import LONGEST
from scoring.edge.pull import pull
from scoring.edge.registry import LocalRegistry
from scoring.edge.result import PullResult
from scoring.edge.store import Store
from scoring.errors import (
    IncompatibleError,
    IntegrityError,
    LockedError,
    NotFoundError,
    SelfTestError,
    StorageError,
    UntestedError,
    UsageError,
)


@pytest.fixture
def get(shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PullResult]:
    """`get("latest")` pulls; the self-test runs only where a test asks for it, as it is a process of its own."""

    def run(version: str = "latest", *, tested: bool = False, self_test: Any = _passes, **options: Any) -> PullResult:
        with monkeypatch.context() as patch:
            if not tested:
                patch.setattr("scoring.edge.pull.self_test", self_test)
            return pull(LocalRegistry(shelf.models), "Caps", version, tmp_path / "device", **options)

    return run


def _passes(folder: Path, **_: Any) -> None:
    pass


def device(tmp_path: Path) -> Path:
    return tmp_path / "device" / "Caps"


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_first_pull_installs_and_the_second_changes_nothing(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path
) -> None:
    shelf.put(1)
    first = get(tested=True)
    assert (first.status, first.version, first.previous, first.exit_code) == ("updated", 1, None, 0)
    before = {path: path.lstat().st_mtime_ns for path in device(tmp_path).rglob("*")}
    again = get()
    assert (again.status, again.version, again.exit_code) == ("current", 1, 0)
    assert {
        path: path.lstat().st_mtime_ns for path in device(tmp_path).rglob("*") if path.is_file()
    }.items() <= before.items()
    assert (device(tmp_path) / "current").readlink() == Path("versions/1")
    assert load_bundle(device(tmp_path) / "current").manifest == load_bundle(shelf.models / "Caps/1").manifest
    state = json.loads((device(tmp_path) / "state.json").read_text())
    assert (state["current"], state["previous"], state["rejected"]) == (1, None, {})


def test_two_versions_are_kept(shelf: Any, get: Callable[..., PullResult], tmp_path: Path) -> None:
    for version in (1, 2, 3):
        shelf.put(version)
        assert get().version == version
    assert listing(device(tmp_path) / "versions") == ["2", "3"]
    assert listing(device(tmp_path) / "incoming") == []
    assert get("2", allow_downgrade=True).previous == 3
    assert listing(device(tmp_path) / "versions") == ["2", "3"]


def test_a_downgrade_is_refused_unless_allowed(shelf: Any, get: Callable[..., PullResult], tmp_path: Path) -> None:
    shelf.put(1, champion=1)
    shelf.put(2, champion=1)
    get("latest")
    with pytest.raises(UsageError, match="older than 2") as caught:
        get("best")
    assert caught.value.exit_code == 2
    assert Store(device(tmp_path)).current() == 2
    assert get("best", allow_downgrade=True).version == 1


def test_nothing_installed_and_nothing_obtainable(shelf: Any, get: Callable[..., PullResult], tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing is installed") as caught:
        get()
    assert caught.value.exit_code == 1
    assert not (tmp_path / "device").exists()


def test_an_unknown_model_leaves_no_folders(shelf: Any, tmp_path: Path) -> None:
    shelf.put(1)
    with pytest.raises(NotFoundError, match="no model 'Cups'"):
        pull(LocalRegistry(shelf.models), "Cups", "latest", tmp_path / "device")
    assert not (tmp_path / "device").exists()


def test_offline_the_old_version_goes_on(shelf: Any, get: Callable[..., PullResult], tmp_path: Path) -> None:
    shelf.put(1)
    get()
    shelf.models.rename(tmp_path / "gone")
    result = get()
    assert (result.status, result.version, result.exit_code) == ("offline", 1, 3)
    assert "registry.json" in result.message


def test_a_registry_that_goes_away_while_sending_is_offline(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(1)
    get()
    shelf.put(2)
    (shelf.models / "Caps/2/notes.txt").unlink()
    assert get().exit_code == 3
    assert (Store(device(tmp_path)).current(), listing(device(tmp_path) / "versions")) == (1, ["1"])


@pytest.mark.parametrize("change", ["flip", "longer", "shorter", "manifest"])
def test_bytes_that_differ_are_refused(shelf: Any, get: Callable[..., PullResult], tmp_path: Path, change: str) -> None:
    shelf.put(1)
    get()
    folder = shelf.put(2)
    victim = folder / ("manifest.json" if change == "manifest" else "notes.txt")
    data = victim.read_bytes()
    flipped = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    victim.write_bytes({"longer": data + b"x", "shorter": data[:-1]}.get(change, flipped))
    with pytest.raises(IntegrityError) as caught:
        get()
    assert caught.value.exit_code == 4
    assert (Store(device(tmp_path)).current(), listing(device(tmp_path) / "incoming")) == (1, [])


def test_a_failed_self_test_is_remembered(shelf: Any, get: Callable[..., PullResult], tmp_path: Path) -> None:
    shelf.put(1)
    get()
    folder = shelf.put(2)
    expected = json.loads((folder / "golden/expected.json").read_text())
    expected["images"][0]["boxes"][0]["box"]["topX"] += 0.05
    (folder / "golden/expected.json").write_text(json.dumps(expected))
    write_manifest(folder, json.loads((folder / "manifest.json").read_text()))
    shelf.register(2)
    with pytest.raises(SelfTestError, match=r"0001\.png: missing") as caught:
        get(tested=True)
    assert caught.value.exit_code == 5
    assert (Store(device(tmp_path)).current(), listing(device(tmp_path) / "versions")) == (1, ["1"])
    with pytest.raises(SelfTestError, match="rejected on this machine before"):
        get()
    assert get("2").version == 2  # asked for by number: tried again
    assert Store(device(tmp_path)).state().rejected == {}


def test_what_could_not_be_tried_is_tried_again_by_itself_and_later_each_time(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that was busy: no verdict on the version, and no download at every tick of a timer."""
    shelf.put(1)
    get()
    shelf.put(2)
    now = [datetime(2026, 5, 1, 10, tzinfo=timezone.utc)]
    monkeypatch.setattr("scoring.edge.backoff._now", lambda: now[0])
    store, tries = Store(device(tmp_path)), []

    def busy(folder: Path, **_: Any) -> None:
        tries.append(folder)
        raise UntestedError("the self-test failed: no answer within 120 s")

    for minutes, count in ((0, 1), (9, 1), (2, 2), (19, 2), (2, 3)):
        now[0] += timedelta(minutes=minutes)
        with pytest.raises(UntestedError, match="no answer within 120 s") as caught:
            get(self_test=busy)
        assert caught.value.exit_code == 5
        assert (len(tries), store.current(), store.state().rejected) == (count, 1, {})
        assert (listing(store.versions), listing(store.incoming)) == (["1"], [])
    with pytest.raises(UntestedError, match="is not tried now: it is tried again after 2026-05-01T11:"):
        get(dry_run=True)
    with pytest.raises(UntestedError):
        get("2", insist=False, self_test=busy)  # a server that looks all the time
    assert get("2").version == 2  # a person who asks by number
    assert store.state().postponed == {}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {"times": "many", "until": "2026-05-01T10:05:00+00:00"},
        {"times": 1, "until": "2026-05-01T09:59:00+00:00", "why": "x"},
        {"times": 1, "until": "2027-05-01T10:05:00+00:00", "why": "x"},  # the clock was set back
        {"times": 1, "until": "2026-05-01T10:05:00", "why": "x"},
        {"times": 10**9, "until": "soon"},
    ],
)
def test_whatever_a_state_says_of_waiting_a_version_is_tried_in_the_end(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: Any
) -> None:
    now = datetime(2026, 5, 1, 10, tzinfo=timezone.utc)
    monkeypatch.setattr("scoring.edge.backoff._now", lambda: now)
    digest = shelf.put(1) and LocalRegistry(shelf.models).resolve("Caps", "1").manifest_sha256
    device(tmp_path).mkdir(parents=True)
    state = device(tmp_path) / "state.json"
    state.write_text(json.dumps({"schema": 1, "postponed": {digest: entry}}))

    def busy(folder: Path, **_: Any) -> None:
        raise UntestedError("no answer")

    with pytest.raises(UntestedError):
        get(self_test=busy)
    until = datetime.fromisoformat(json.loads(state.read_text())["postponed"][digest]["until"])
    assert now < until <= now + LONGEST


@pytest.mark.parametrize(("provider", "code"), [("nonsense", 2), ("openvino", 6)])
def test_a_provider_that_is_not_here_is_seen_before_the_download(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path, provider: str, code: int
) -> None:
    shelf.put(1)
    with pytest.raises((UsageError, IncompatibleError), match=provider) as caught:
        get(provider=provider)
    assert caught.value.exit_code == code
    assert Store(device(tmp_path)).state().rejected == {}


def test_the_self_test_runs_on_the_provider_that_will_serve(shelf: Any, get: Callable[..., PullResult]) -> None:
    shelf.put(1)
    asked: list[str] = []
    get(provider="cpu", self_test=lambda folder, provider: asked.append(provider))
    assert asked == ["cpu"]


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "image_classification"},
        {"runtime": {"onnxruntime": ">=99"}},
        {"runtime": {"onnxruntime": ">=1.20", "architectures": ["riscv64"]}},
        {"postprocess": {"kind": "cva", "iou": 0.5, "score_threshold": 0.3, "max_boxes": 3}, "schema": 7},
    ],
)
def test_what_this_machine_cannot_run_is_not_fetched(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path, changes: dict[str, Any]
) -> None:
    shelf.put(1)
    get()
    folder = shelf.put(2)
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    shelf.register(2)
    with pytest.raises(IncompatibleError) as caught:
        get()
    assert caught.value.exit_code == 6
    assert Store(device(tmp_path)).current() == 1


def test_a_held_lock_is_reported(shelf: Any, get: Callable[..., PullResult], tmp_path: Path) -> None:
    shelf.put(1)
    with Store(device(tmp_path)).lock(), pytest.raises(LockedError) as caught:
        get()
    assert caught.value.exit_code == 75
    assert get().version == 1


def test_too_little_disk_is_seen_before_anything_is_written(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(1)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(1 << 30, 1 << 30, 1 << 20))
    with pytest.raises(StorageError, match="bytes free"):
        get()
    assert listing(device(tmp_path) / "versions") == []


def test_a_disk_that_fills_up_leaves_nothing(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(1)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StorageError, match="No space"):
            get()
    assert (listing(device(tmp_path) / "versions"), listing(device(tmp_path) / "incoming")) == ([], [])
    assert get().version == 1


def test_a_file_where_a_folder_is_expected(shelf: Any, get: Callable[..., PullResult], tmp_path: Path) -> None:
    shelf.put(1)
    (tmp_path / "device").write_text("")
    with pytest.raises(StorageError, match="expected a folder"):
        get()


def test_a_damaged_current_version_is_replaced(shelf: Any, get: Callable[..., PullResult], tmp_path: Path) -> None:
    shelf.put(1)
    get()
    (device(tmp_path) / "versions/1/model.onnx").write_bytes(b"")
    assert get().status == "updated"
    load_bundle(device(tmp_path) / "current")


def test_where_links_cannot_be_made_a_file_says_which(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.symlink", refused)
    for version in (1, 2):
        shelf.put(version)
        get()
        assert (device(tmp_path) / "CURRENT").read_text() == f"{version}\n"
        assert Store(device(tmp_path)).current() == version
    for damage in (b"\xff", b"9" * 5000):
        (device(tmp_path) / "CURRENT").write_bytes(damage)
        assert Store(device(tmp_path)).current() is None
        get()
        assert Store(device(tmp_path)).current() == 2


MANY = "9" * 5000
BROKEN = ["", "[]", "{", "[" * 200_000, '{"schema": 9}', '{"schema": 1, "rejected": null}']
BROKEN += [f'{{"schema": 1, "known": {{"{key}": "y", "1": 2}}}}' for key in ("x", MANY)]
BROKEN += [f'{{"schema": 1, "current": {number}, "manifest_sha256": "a"}}' for number in ("true", "-1", "9" * 23)]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_state_is_rebuilt_from_current(
    shelf: Any, get: Callable[..., PullResult], tmp_path: Path, text: str
) -> None:
    shelf.put(1)
    get()
    (device(tmp_path) / "state.json").write_text(text)
    assert get().status == "current"
    assert Store(device(tmp_path)).state().current == 1


@pytest.mark.parametrize("version", ["", "newest", "-1", "1.0", "@3", "²", "9" * 5000])
def test_a_version_that_is_none(shelf: Any, get: Callable[..., PullResult], version: str) -> None:
    with pytest.raises(UsageError):
        get(version)


def test_a_crash_of_the_self_test_is_contained(shelf: Any, tmp_path: Path) -> None:
    """A bundle's own files are never imported, and whatever ends the process is a failed self-test."""
    from scoring.edge.selftest import self_test

    folder = shelf.put(1)
    (folder / "numpy.py").write_text("raise SystemExit(0)")
    self_test(folder)
    (folder / "golden/expected.json").write_text('{"images": [{}]}')
    with pytest.raises(SelfTestError, match="KeyError"):
        self_test(folder)
    with pytest.raises(SelfTestError, match="no answer within"):
        self_test(folder, timeout=0.001)


def test_pull_from_another_process_while_locked(shelf: Any, tmp_path: Path) -> None:
    """The lock is the system's, so it also holds between processes and dies with them."""
    shelf.put(1)
    script = (
        "import sys; from pathlib import Path; from scoring.edge.pull import pull;"
        "from scoring.edge.registry import LocalRegistry; from scoring.errors import LockedError\n"
        "try: pull(LocalRegistry(Path(sys.argv[1])), 'Caps', '1', Path(sys.argv[2]))\n"
        "except LockedError as error: sys.exit(error.exit_code)"
    )
    command = [sys.executable, "-c", script, str(shelf.models), str(tmp_path / "device")]
    with Store(device(tmp_path)).lock():
        done = subprocess.run(command, cwd=Path(__file__).resolve().parents[3], env=os.environ, check=False)
    assert done.returncode == 75


def test_a_bundle_of_another_model_is_refused(shelf: Any, get: Callable[..., PullResult], tmp_path: Path) -> None:
    shelf.put(1, name="Bottles")
    with pytest.raises(IntegrityError, match="expected a bundle of Caps, found one of 'Bottles'"):
        get()
    assert Store(device(tmp_path)).current() is None
