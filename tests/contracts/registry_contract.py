"""What every registry must do, wherever it keeps its models: inherit `RegistryContract` and give it a `registry`.

`shelf` holds what the registry answers from; `published` is called after each change of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import load_bundle
from scoring.edge.pull import pull
from scoring.edge.registry import Registry
from scoring.errors import IncompatibleError, IntegrityError, NotFoundError, OfflineError


class RegistryContract:
    @pytest.fixture
    def registry(self, shelf: Any) -> Registry:
        raise NotImplementedError

    @pytest.fixture
    def away(self, shelf: Any) -> Callable[[], None]:
        """Makes the registry one that cannot be reached."""
        raise NotImplementedError

    def test_versions_are_numbers_and_words(self, registry: Registry, shelf: Any) -> None:
        for version in (2, 10, 9):
            shelf.put(version, champion=9)
        chosen = {word: registry.resolve("Caps", word).version for word in ("", "latest", "best", "champion", "2")}
        assert chosen == {"": 9, "latest": 10, "best": 9, "champion": 9, "2": 2}

    def test_a_version_is_pinned_by_its_manifest(self, registry: Registry, shelf: Any) -> None:
        shelf.put(1)
        exact = registry.resolve("Caps", "latest")
        assert (exact.name, exact.version) == ("Caps", 1)
        assert hashlib.sha256(registry.manifest("Caps", 1)).hexdigest() == exact.manifest_sha256

    def test_files_come_as_they_are(self, registry: Registry, shelf: Any) -> None:
        folder = shelf.put(1)
        for entry in load_bundle(folder).manifest.files:
            with registry.fetch("Caps", 1, entry.path) as file:
                assert file.read(entry.bytes + 1) == (folder / entry.path).read_bytes()

    def test_names_with_signs_that_an_address_must_escape(self, registry: Registry, shelf: Any) -> None:
        folder = shelf.put(1)
        name = "golden/50% & a+b #1, größer.txt"
        (folder / name).write_text("as it is")
        shelf.relist(1)
        with registry.fetch("Caps", 1, name) as file:
            assert file.read(100) == b"as it is"

    def test_what_is_not_there(self, registry: Registry, shelf: Any) -> None:
        shelf.put(1)
        with pytest.raises(NotFoundError, match="models: Caps"):
            registry.resolve("Cups", "latest")
        with pytest.raises(NotFoundError, match="no version 4; versions: 1"):
            registry.resolve("Caps", "4")
        with pytest.raises(NotFoundError, match="no champion"):
            registry.resolve("Caps", "best")
        with pytest.raises(NotFoundError, match=r"release\.sig"):
            registry.fetch("Caps", 1, "release.sig")

    @pytest.mark.parametrize("path", ["../registry.json", "/etc/passwd", "a/../../b", "con", "a\\b", ""])
    def test_no_path_leaves_the_bundle(self, registry: Registry, shelf: Any, path: str) -> None:
        shelf.put(1)
        with pytest.raises(IntegrityError, match="unsafe path"):
            registry.fetch("Caps", 1, path)

    @pytest.mark.parametrize(
        ("index", "error"),
        [
            ("{", IntegrityError),
            ("[]", IntegrityError),
            ('{"schema": 1, "models": []}', IntegrityError),
            ('{"schema": 2, "models": {}}', IncompatibleError),
            ('{"schema": 1, "models": {"Caps": {"versions": {"one": {}}}}}', IntegrityError),
            ('{"schema": 1, "models": {"Caps": {"versions": {"1": {"path": "Caps/1"}}}}}', IntegrityError),
            ('{"schema": 1, "models": {"Caps": {"versions": {"01": {}}}}}', IntegrityError),  # and 1 would be two
            (json.dumps({"schema": 1, "models": {"Caps": {"versions": {"9" * 5000: {}}}}}), IntegrityError),
        ],
    )
    def test_an_index_that_is_none(self, registry: Registry, shelf: Any, index: str, error: type[Exception]) -> None:
        shelf.put(1)
        shelf.write_index(index)
        with pytest.raises(error):
            registry.resolve("Caps", "1")

    @pytest.mark.parametrize(
        ("change", "words"),
        [({"path": "../../secrets"}, "unsafe path"), ({"manifest_sha256": "ab"}, "no manifest_sha256")],
    )
    def test_an_entry_that_is_none(self, registry: Registry, shelf: Any, change: dict[str, str], words: str) -> None:
        shelf.put(1)
        index = json.loads(shelf.read_index())
        index["models"]["Caps"]["versions"]["1"] |= change
        shelf.write_index(json.dumps(index))
        with pytest.raises(IntegrityError, match=words):
            registry.resolve("Caps", "1")

    def test_a_champion_that_is_no_version(self, registry: Registry, shelf: Any) -> None:
        shelf.put(1, champion=7)
        with pytest.raises(IntegrityError, match="champion of Caps is 7"):
            registry.resolve("Caps", "best")

    def test_away(self, registry: Registry, shelf: Any, away: Callable[[], None]) -> None:
        shelf.put(1)
        away()
        with pytest.raises(OfflineError):
            registry.resolve("Caps", "1")
        with pytest.raises(OfflineError):
            registry.manifest("Caps", 1)

    def test_a_device_lives_on_it(
        self, registry: Registry, shelf: Any, away: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scoring.edge.pull.self_test", lambda folder, **_: None)
        shelf.put(1)
        assert pull(registry, "Caps", "latest", tmp_path / "device").status == "updated"
        shelf.put(2)
        assert pull(registry, "Caps", "latest", tmp_path / "device").version == 2
        away()
        last = pull(registry, "Caps", "latest", tmp_path / "device")
        assert (last.status, last.version, last.exit_code) == ("offline", 2, 3)
        load_bundle(tmp_path / "device/Caps/current")
