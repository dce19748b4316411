"""A device with version 1, a registry where version 2 is bad in some way, and the real command: the right exit code
each time, nothing half done, and version 1 still answers.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_training.cli.main import main
from scoring.bundle import write_manifest
from scoring.detector import Detector
from scoring.edge.publish import publish
from scoring.edge.registry import LocalRegistry
from scoring.edge.signing import Signer
from scoring.edge.store import Store
from scoring.edge.trust import Trust
from tests.scoring.edge.webserver import Behaviour, serve

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Place:
    shelf: Any
    pub: Path
    device: Path
    url: str
    server: Behaviour
    key: Signer
    capsys: pytest.CaptureFixture[str]

    @property
    def store(self) -> Store:
        return Store(self.device / "Caps")

    def publish(self, version: int, **options: Any) -> Path:
        self.shelf.put(version, **options)
        return publish(LocalRegistry(self.shelf.models), "Caps", str(version), self.pub, signer=self.key).folder

    def spoil(self, folder: Path, change: Callable[[Path], None]) -> None:
        """Somebody who controls the registry, keys and all: manifest, index and release fit what was changed."""
        from scoring.edge.signing import Release, signature_bytes
        from scoring.files import sha256_of

        change(folder)
        digest = sha256_of(folder / "manifest.json")
        index = json.loads((self.pub / "registry.json").read_text())
        index["models"]["Caps"]["versions"][folder.name]["manifest_sha256"] = digest
        (self.pub / "registry.json").write_text(json.dumps(index))
        release = Release("Caps", int(folder.name), digest, "2026-05-01T10:00:00Z").to_bytes()
        (folder / "release.json").write_bytes(release)
        (folder / "release.sig").write_bytes(signature_bytes([self.key.sign(release)]))

    def arguments(self, *more: str, where: str = "file") -> list[str]:
        registry = self.url if where == "https" else f"file://{self.pub}"
        fixed = ["--json", "model", "pull", "Caps", "--version", "latest", "--to", str(self.device)]
        return [*fixed, "--registry", registry, *more]

    def pull(self, *more: str, where: str = "file") -> tuple[int, dict[str, Any]]:
        """Exit code and the one JSON object."""
        code = main(self.arguments(*more, where=where))
        printed = self.capsys.readouterr()
        assert "Traceback" not in printed.err
        [line] = printed.out.splitlines()
        return code, json.loads(line)

    def still_serves(self, version: int = 1) -> None:
        assert self.store.current() == version
        [found] = Detector.load(self.store.root / "current").detect([Image.new("RGB", (40, 20), (200, 150, 10))])
        assert [float(score) for score in found.scores] == [pytest.approx(0.5176, abs=0.001)]
        assert list(self.store.incoming.iterdir()) == []


@pytest.fixture
def place(
    shelf: Any,
    tmp_path: Path,
    tls: Any,
    signer: Callable[[str], Signer],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Place]:
    """A device that trusts one key and has version 1."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[0]))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    device = tmp_path / "device"
    device.mkdir()
    Trust().add(signer("a").public).write(device / "trusted_keys.json")
    (tmp_path / "pub").mkdir()
    with serve(tmp_path / "pub", tls[1]) as (url, server):
        place = Place(shelf, tmp_path / "pub", device, url, server, signer("a"), capsys)
        with monkeypatch.context() as patch:
            patch.setattr("scoring.edge.pull.self_test", lambda folder, **_: None)
            place.publish(1)
            assert place.pull()[0] == 0
        yield place


both = pytest.mark.parametrize("where", ["file", "https"])


@both
def test_a_good_version_comes_in(place: Place, where: str) -> None:
    place.publish(2)
    code, done = place.pull(where=where)
    assert (code, done["status"], done["version"], done["previous"]) == (0, "updated", 2, 1)
    assert done["signature"] == {"policy": "enforce", "keyid": place.key.keyid, "problem": None}
    place.still_serves(2)
    assert place.pull(where=where)[1]["status"] == "current"


@both
@pytest.mark.parametrize("name", ["notes.txt", "manifest.json", "release.json", "release.sig"])
def test_one_byte_changed(place: Place, where: str, name: str) -> None:
    path = place.publish(2) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert place.pull(where=where)[0] == 4
    place.still_serves()


def test_an_extra_file(place: Place) -> None:
    (place.publish(2) / "extra.txt").write_text("not in the manifest")
    code, done = place.pull()
    assert (code, "extra.txt" in done["error"]["message"]) == (4, True)
    place.still_serves()
    assert place.pull(where="https")[0] == 0  # no listing there: what is not in the manifest is never asked for
    assert not (place.store.root / "current/extra.txt").exists()
    place.still_serves(2)


@pytest.mark.parametrize("name", ["notes.txt", "golden"])
def test_a_link(place: Place, name: str, tmp_path: Path) -> None:
    path = place.publish(2) / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert place.pull()[0] == 4
    place.still_serves()


@both
@pytest.mark.parametrize("path", ["../../../escaped.txt", "/tmp/escaped.txt", "a/../../b", "con", "NOTES.TXT"])
def test_a_path_that_leaves_the_folder_or_cannot_be(place: Place, where: str, path: str) -> None:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"].append({"path": path, "bytes": 1, "sha256": "a" * 64})
        (folder / "manifest.json").write_text(json.dumps(manifest))

    place.spoil(place.publish(2), change)
    assert place.pull(where=where)[0] == 4
    place.still_serves()
    assert not list(place.device.parent.rglob("escaped.txt"))


@both
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("weights.pkl", b"x"),
        ("weights.pt", b"x"),
        ("weights.bin", b"\x80\x04K\x01."),
        ("weights.bin", b"PK\x03\x04rest"),
    ],
)
def test_a_pickle(place: Place, where: str, name: str, data: bytes) -> None:
    def change(folder: Path) -> None:
        import hashlib

        (folder / name).write_bytes(data)
        manifest = json.loads((folder / "manifest.json").read_text())
        entry = {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (folder / "manifest.json").write_text(json.dumps({**manifest, "files": [*manifest["files"], entry]}))

    place.spoil(place.publish(2), change)
    code, done = place.pull(where=where)
    assert (code, "pickle" in done["error"]["message"]) == (4, True)
    place.still_serves()


@both
def test_a_lower_version(place: Place, where: str) -> None:
    place.publish(2)
    assert place.pull(where=where)[0] == 0
    code = main([*place.arguments(where=where)[:5], "1", *place.arguments(where=where)[6:]])
    assert code == 2
    place.still_serves(2)


@both
def test_an_older_index_is_played_back(place: Place, where: str) -> None:
    before = (place.pub / "registry.json").read_bytes()
    place.publish(2)
    assert place.pull(where=where)[0] == 0
    (place.pub / "registry.json").write_bytes(before)
    assert place.pull(where=where)[0] == 2
    place.still_serves(2)


@both
def test_a_wrong_architecture(place: Place, where: str) -> None:
    other = "arm64" if platform.machine() in ("x86_64", "AMD64") else "amd64"
    place.publish(2, runtime={"onnxruntime": ">=1.20", "architectures": [other]}, golden=False)
    code, done = place.pull(where=where)
    assert (code, other in done["error"]["message"]) == (6, True)
    place.still_serves()


def test_too_little_memory(place: Place) -> None:
    place.publish(2, runtime={"onnxruntime": ">=1.20", "memory_bytes": 1 << 60})
    code, done = place.pull()
    assert (code, "its manifest states it" in done["error"]["message"]) == (6, True)
    place.still_serves()


def test_a_full_disk_before(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish(2)
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: usage(1 << 30, 1 << 30, 1 << 20))
        assert place.pull()[0] == 1
    place.still_serves()


@pytest.mark.skipif(sys.platform == "win32", reason="needs setrlimit")
def test_a_disk_that_ends_in_the_middle_of_a_file(place: Place) -> None:
    """The system itself stops the write: no file of this process may grow above 100 kB."""

    def change(folder: Path) -> None:
        (folder / "notes.txt").write_bytes(os.urandom(200_000))
        manifest = json.loads((folder / "manifest.json").read_text())
        for name in ("release.json", "release.sig"):
            (folder / name).unlink()
        write_manifest(folder, manifest)

    place.spoil(place.publish(2), change)
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from model_training.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, *place.arguments()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "File too large" in json.loads(done.stdout)["error"]["message"]) == (1, True)
    place.still_serves()
    assert place.pull()[0] == 0


def test_a_dead_registry(place: Place, tmp_path: Path) -> None:
    place.publish(2)
    place.server.faults += [(503, {})] * 20
    code, done = place.pull(where="https")
    assert (code, done["status"], done["version"]) == (3, "offline", 1)
    place.server.faults.clear()
    place.server.drops, place.server.drop_after = 1000, 100  # it dies in the middle of a file
    code, done = place.pull(where="https")
    assert (code, done["status"]) == (3, "offline")
    place.still_serves()
    place.server.drops = 0
    place.server.faults += [(403, {})]
    assert place.pull(where="https")[0] == 3
    place.pub.rename(tmp_path / "gone")
    assert place.pull()[0] == 3
    place.still_serves()
    place.device = tmp_path / "new"
    assert place.pull()[0] == 1  # nothing installed and nothing obtainable
    assert not place.device.exists()


def test_two_pulls_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish(2)
    going, may_end = threading.Event(), threading.Event()

    def slow(path: str, data: bytes) -> bytes:
        if path.endswith("2/notes.txt"):
            going.set()
            may_end.wait(60)
        return data

    place.server.change = slow
    command = [sys.executable, "-m", "model_training.cli.main", *place.arguments(where="https")]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert going.wait(60)
        code, done = place.pull()
        assert (code, done["error"]["type"]) == (75, "LockedError")
        assert place.store.current() == 1
    finally:
        may_end.set()
        out, _ = first.communicate(timeout=60)
    assert (first.returncode, json.loads(out)["status"]) == (0, "updated")
    place.still_serves(2)


def test_a_failed_self_test(place: Place) -> None:
    def change(folder: Path) -> None:
        expected = json.loads((folder / "golden/expected.json").read_text())
        expected["images"][0]["boxes"][0]["score"] -= 0.1
        (folder / "golden/expected.json").write_text(json.dumps(expected))
        manifest = json.loads((folder / "manifest.json").read_text())
        write_manifest(folder, manifest)

    place.spoil(place.publish(2), change)
    assert place.pull()[0] == 5
    place.still_serves()


def test_a_version_that_the_server_does_not_serve(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish(2)
    code, done = place.pull("--health-url", "http://127.0.0.1:9", "--health-seconds", "0.1")
    assert (code, "did not go live" in done["error"]["message"]) == (5, True)
    place.still_serves()


def test_a_version_whose_bytes_changed_under_its_number(place: Place) -> None:
    folder = place.pub / "Caps/1"

    def change(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "license": "another"}))

    place.spoil(folder, change)
    assert place.pull()[0] == 4
    place.still_serves()


@both
def test_a_dry_run_downloads_and_changes_nothing(place: Place, where: str) -> None:
    place.publish(2)
    before = {path: path.lstat().st_mtime_ns for path in place.device.rglob("*")}
    place.server.seen.clear()
    code, done = place.pull("--dry-run", where=where)
    assert (code, done["status"], done["version"], done["previous"]) == (0, "would_update", 2, 1)
    assert done["signature"]["keyid"] == place.key.keyid
    assert {path: path.lstat().st_mtime_ns for path in place.device.rglob("*")} == before
    asked = {path.rsplit("/", 1)[1] for path, _ in place.server.seen}
    assert asked == ({"registry.json", "manifest.json", "release.json", "release.sig"} if where == "https" else set())
    (place.pub / "Caps/2/release.sig").unlink()
    assert place.pull("--dry-run", where=where)[0] == 4


def test_only_what_differs_is_downloaded(place: Place) -> None:
    place.publish(2)
    place.server.seen.clear()
    assert place.pull(where="https")[0] == 0
    asked = {path.removeprefix("/Caps/2/") for path, _ in place.server.seen}
    assert asked == {"/registry.json", "manifest.json", "release.json", "release.sig", "notes.txt"} | asked & {
        "golden/expected.json"
    }
    place.still_serves(2)


def test_what_is_copied_is_checked_and_else_downloaded(place: Place) -> None:
    """The installed version is damaged: its bytes do not travel into the next one."""
    (place.store.root / "current/model.onnx").write_bytes(b"damaged")
    (place.store.root / "current/labels.json").unlink()
    place.publish(2)
    place.server.seen.clear()
    assert place.pull(where="https")[0] == 0
    assert {"/Caps/2/model.onnx", "/Caps/2/labels.json"} <= {path for path, _ in place.server.seen}
    place.still_serves(2)


def test_progress_is_said_for_what_is_large(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring.edge.transfer.STEP", 100)
    place.publish(2)
    assert main([each for each in place.arguments() if each != "--json"]) == 0
    words = place.capsys.readouterr().out
    assert " of 0 MB" in words and words.splitlines()[-1].startswith("{")


@pytest.mark.parametrize(
    "more",
    [
        ("--signatures", "maybe"),
        ("--health-seconds", "5"),
        ("--registry", "ftp://elsewhere"),
        ("--trusted-keys", "none.json"),
    ],
)
def test_usage(place: Place, more: tuple[str, ...]) -> None:
    try:
        code = main(place.arguments(*more))
    except SystemExit as ended:
        code = ended.code
    assert code == (1 if more[0] == "--trusted-keys" else 2)
    place.still_serves()
