"""A local workspace's models folder, written by hand as the contract says."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import write_manifest
from scoring.edge.signing import Signer, new_key_pair, read_signer
from tests.scoring.edge.webserver import authority

OWN = "notes.txt"  # differs between versions, so it is never copied from the one that is installed


class Shelf:
    """`<workspace>/models` with versions of one model; `put` registers, `champion` is whom `best` means."""

    name = "Caps"

    def __init__(self, workspace: Path, make: Callable[..., Path]) -> None:
        self.workspace = workspace
        self.models = workspace / "models"
        self._make = make
        self._versions: dict[str, Any] = {}
        workspace.mkdir()
        (workspace / "workspace.json").write_text('{"schema": 1}')

    def put(self, version: int, *, champion: int | None = None, **options: Any) -> Path:
        options.setdefault("created_at", f"2026-05-{version:02}T10:00:00Z")
        folder = self._make(f"{self.models.relative_to(self.workspace.parent)}/{self.name}/{version}", **options)
        (folder / OWN).write_text(f"what only version {version} has\n" * 10)
        write_manifest(folder, json.loads((folder / "manifest.json").read_text()))
        self.register(version, champion)
        return folder

    def relist(self, version: int) -> None:
        """After a file was added or changed: the manifest is made anew, and registered."""
        folder = self.models / self.name / str(version)
        write_manifest(folder, json.loads((folder / "manifest.json").read_text()))
        self.register(version)

    def read_index(self) -> str:
        return (self.models / "registry.json").read_text()

    def write_index(self, text: str) -> None:
        (self.models / "registry.json").write_text(text)

    def register(self, version: int, champion: int | None = None) -> None:
        digest = hashlib.sha256((self.models / self.name / str(version) / "manifest.json").read_bytes()).hexdigest()
        self._versions[str(version)] = {
            "path": f"{self.name}/{version}",
            "manifest_sha256": digest,
            "created_at": "2026-05-01T10:00:00Z",
            "tags": {},
        }
        registry = {"schema": 1, "models": {self.name: {"champion": champion, "versions": self._versions}}}
        (self.models / "registry.json").write_text(json.dumps(registry))


@pytest.fixture
def shelf(tmp_path: Path, tiny_bundle: Callable[..., Path]) -> Shelf:
    return Shelf(tmp_path / "workspace", tiny_bundle)


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """An authority's certificate, which a client may trust, and a server's context."""
    return authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Signer]:
    """`signer("a")` is the same key each time."""
    folder = tmp_path_factory.mktemp("keys")

    def get(name: str) -> Signer:
        path = folder / name
        if not path.exists():
            path.touch(0o600)
            path.write_bytes(new_key_pair(None)[0])
        return read_signer(path)

    return get
