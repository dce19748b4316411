"""Every way to open a bundle's folder refuses one changed digit beside a release, and what no pinned key signed.

What each way needs besides (an inference server, MLflow) is tested where it belongs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from model_training.cli.main import main
from scoring.bundle import load_bundle, write_manifest
from scoring.detector import Detector
from scoring.edge.selftest import check_golden
from scoring.edge.signing import Release, Signer, signature_bytes
from scoring.edge.trust import Trust
from scoring.errors import CvaError, IntegrityError
from scoring.files import sha256_of
from scoring.server.source import BundleFolder, load

Door = Callable[[Path], None]


def score(folder: Path) -> None:
    _run("score", "p.png", "--bundle", str(folder))


def batch(folder: Path) -> None:
    _run("batch", "p.png", "--bundle", str(folder), "--out", "rows", "--overwrite")


def serve(folder: Path) -> None:
    load(BundleFolder(folder), threads=1, provider="cpu")


def entry_script(folder: Path) -> None:
    """As `score.py` opens it, here with this repository's own code."""
    from model_training.packaging.entry.cva_model import BundleModel

    BundleModel(folder)


def _run(*arguments: str) -> None:
    Image.new("RGB", (40, 20), (200, 150, 10)).save("p.png")
    code = main(list(arguments))
    if code:
        error = IntegrityError if code == IntegrityError.exit_code else CvaError
        raise error(f"exit code {code}")


PLAIN: tuple[Door, ...] = (load_bundle, Detector.load, check_golden, entry_script)  # type: ignore[assignment]
PINNED: tuple[Door, ...] = (score, batch, serve)


@pytest.fixture
def signer() -> Signer:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Signer(Ed25519PrivateKey.generate())


@pytest.fixture
def folder(tiny_bundle: Callable[..., Path], signer: Signer) -> Path:
    """Version 3 of a store, released and signed."""
    made = tiny_bundle("store/Caps/versions/3")
    release(made)
    (made / "release.sig").write_bytes(signature_bytes([signer.sign((made / "release.json").read_bytes())]))
    return made


def release(folder: Path) -> None:
    value = Release("Caps", 3, sha256_of(folder / "manifest.json"), "2026-05-01T10:00:00Z")
    (folder / "release.json").write_bytes(value.to_bytes())


@pytest.mark.parametrize("door", [*PLAIN, *PINNED])
def test_one_changed_digit_of_a_released_manifest_is_refused(door: Door, folder: Path) -> None:
    """No key is pinned, no registry vouches: the release beside it is enough."""
    door(folder)
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"mean_average_precision": 0.5', '"mean_average_precision": 0.9'))
    with pytest.raises(IntegrityError):
        door(folder)


@pytest.mark.parametrize("where", ["store", "environment"])
@pytest.mark.parametrize("door", PINNED)
def test_a_release_that_was_written_anew_is_refused_where_keys_are_pinned(
    door: Door, where: str, folder: Path, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can change a folder can write all of it but the signature."""
    pins = folder.parents[2] / "trusted_keys.json" if where == "store" else tmp_path / "pins.json"
    Trust().add(signer.public).write(pins)
    if where == "environment":
        monkeypatch.setenv("CVA_TRUSTED_KEYS", str(pins))
    door(folder)
    value = json.loads((folder / "manifest.json").read_bytes())
    write_manifest(folder, {**value, "license": "none"})
    release(folder)
    with pytest.raises(IntegrityError):
        door(folder)


def test_the_bytes_that_run_are_those_that_were_verified(folder: Path) -> None:
    """The file changes between the check and its use, as long as a self-test takes."""
    bundle = load_bundle(folder)
    data = bytearray((folder / "model.onnx").read_bytes())
    data[data.index(b"tiny")] ^= 1  # the graph's name: it would run
    (folder / "model.onnx").write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=r"model\.onnx differs from its manifest: expected sha256"):
        Detector.load(bundle)
