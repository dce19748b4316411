"""A device as it is: only the light packages, a real server beside it, and what `score` says of a signed folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_training.cli.main import main
from scoring.edge.publish import publish
from scoring.edge.registry import LocalRegistry
from scoring.edge.signing import Signer
from scoring.edge.store import Store
from scoring.edge.trust import Trust

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("fastapi", "starlette", "uvicorn", "torch", "mlflow", "onnx", "azure", "pandas", "optuna", "prometheus_client")


class Device:
    def __init__(self, shelf: Any, folder: Path, key: Signer) -> None:
        self.shelf, self.pub, self.dest, self.key = shelf, folder / "pub", folder / "device", key
        self.store = Store(self.dest / "Caps")
        self.dest.mkdir()
        Trust().add(key.public).write(self.dest / "trusted_keys.json")

    def publish(self, version: int) -> None:
        self.shelf.put(version)
        publish(LocalRegistry(self.shelf.models), "Caps", str(version), self.pub, signer=self.key)

    def pull(self, *more: str) -> list[str]:
        return ["model", "pull", "Caps@latest", "--to", str(self.dest), "--registry", f"file://{self.pub}", *more]


@pytest.fixture
def device(shelf: Any, tmp_path: Path, signer: Callable[[str], Signer]) -> Device:
    made = Device(shelf, tmp_path, signer("a"))
    made.publish(1)
    return made


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """As the server reads them: two while they change over."""
    path = tmp_path / "keys"
    path.touch(0o600)
    path.write_text(f"{'new-' * 8}\n{'old-' * 8}\n")
    return path


@pytest.fixture
def server(device: Device, keys: Path) -> Iterator[str]:
    """`cva serve` with keys, of what the device has, looking for a new version all the time."""
    assert main(device.pull()) == 0
    command = [sys.executable, "-m", "model_training.cli.main", "serve", "--bundle", str(device.store.root / "current")]
    more = ["--port", "0", "--reload-seconds", "0.05", "--threads", "1"]
    process = subprocess.Popen(
        [*command, *more],
        cwd=ROOT,
        env={**os.environ, "CVA_KEYS_FILE": str(keys)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stdout)
        yield next(match[0] for match in found if match)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_pulling_needs_the_light_packages_alone(device: Device) -> None:
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r}))\n"  # importing one of them fails
        "from model_training.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "--json", *device.pull()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "updated")
    assert device.store.current() == 1


def test_a_real_server_takes_the_new_version_up(
    device: Device, server: str, keys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without one of its keys nobody can see which version it serves: that is said, and nothing is changed."""
    device.publish(2)
    asked = device.pull("--health-url", server, "--health-seconds", "60")
    assert main(asked) == 2
    assert "--health-key-file" in capsys.readouterr().err
    state = device.store.state()
    assert (device.store.current(), state.current, state.rejected, device.store.folder(2).exists()) == (1, 1, {}, False)
    keys.chmod(0o644)
    assert main([*asked, "--health-key-file", str(keys)]) == 2
    assert "others may read it" in capsys.readouterr().err
    keys.chmod(0o600)
    monkeypatch.setenv("CVA_KEYS_FILE", str(keys))
    assert main(asked) == 0
    assert (device.store.current(), device.store.state().current) == (2, 2)


def test_a_real_server_of_another_model_never_does(device: Device, server: str, keys: Path, tmp_path: Path) -> None:
    """A second device's puller asks the first one's server: its version does not go live there."""
    device.publish(2)
    other = tmp_path / "other"
    arguments = [str(other) if each == str(device.dest) else each for each in device.pull()]
    assert main([*arguments, "--health-url", server, "--health-seconds", "0.2", "--health-key-file", str(keys)]) == 5
    assert Store(other / "Caps").current() is None
    assert device.store.current() == 1


def test_a_pulled_version_is_opened_only_as_a_pinned_key_signed_it(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By every command, whether the keys are named or lie in the store."""
    assert main(device.pull()) == 0
    Image.new("RGB", (40, 20), (200, 150, 10)).save(tmp_path / "p.png")
    current = device.store.root / "current"
    pinned = device.dest / "trusted_keys.json"
    trusted = ["--trusted-keys", str(pinned)]
    assert main(["score", "p.png", "--bundle", str(current), *trusted]) == 0
    capsys.readouterr()
    assert main(["score", "p.png", "--model", "Caps", *trusted]) == 2
    (current / "release.sig").unlink()
    for more in (trusted, []):
        assert main(["score", "p.png", "--bundle", str(current), *more]) == 4
        assert main(["batch", "p.png", "--bundle", str(current), "--out", "rows", *more]) == 4
        assert "not signed" in capsys.readouterr().err
    pinned.unlink()
    assert main(["score", "p.png", "--bundle", str(current)]) == 0
