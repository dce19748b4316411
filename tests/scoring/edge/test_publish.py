"""What a published folder holds, what never changes in it, and that a killed publisher leaves readers a whole one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.main import main
from scoring.bundle import load_bundle
from scoring.edge.publish import publish
from scoring.edge.pull import pull
from scoring.edge.registry import LocalRegistry
from scoring.edge.result import Published
from scoring.edge.signing import Signer
from scoring.edge.store import take_lock
from scoring.edge.trust import Trust, verify_release
from scoring.errors import ConflictError, IntegrityError, LockedError, NotFoundError, StorageError
from tests.scoring.edge.test_crash import run_killed_at

Put = Callable[..., Published]


@pytest.fixture
def put(shelf: Any, signer: Callable[[str], Signer], tmp_path: Path) -> Put:
    """`put("1", "a")` publishes version 1 signed by key "a" into `pub`."""

    def run(version: str, key: str | None = "a", **options: Any) -> Published:
        by = signer(key) if key else None
        return publish(LocalRegistry(shelf.models), "Caps", version, tmp_path / "pub", signer=by, **options)

    return run


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_published_version_is_whole_and_signed(shelf: Any, put: Put, signer: Any, tmp_path: Path) -> None:
    source = shelf.put(1, champion=1)
    done = put("1")
    assert (done.status, done.version, done.champion, done.keyids) == ("published", 1, 1, (signer("a").keyid,))
    release = verify_release(done.folder, Trust().add(signer("a").public), name="Caps", version=1)
    load_bundle(done.folder, manifest_sha256=release.manifest_sha256)
    assert snapshot(source).items() <= snapshot(done.folder).items()
    registry = LocalRegistry(tmp_path / "pub")
    assert registry.resolve("Caps", "best") == LocalRegistry(shelf.models).resolve("Caps", "best")
    entry = registry.index().entry("Caps", 1)
    assert entry == LocalRegistry(shelf.models).index().entry("Caps", 1)  # its tags and its date too


def test_the_same_again_changes_nothing(shelf: Any, put: Put, tmp_path: Path) -> None:
    shelf.put(1)
    put("1")
    before = snapshot(tmp_path / "pub")
    assert put("1").status == "unchanged"
    assert put("1", None).status == "unchanged"  # asking for no signature takes none away
    assert snapshot(tmp_path / "pub") == before


def test_a_further_key_adds_its_signature(shelf: Any, put: Put, signer: Any, tmp_path: Path) -> None:
    shelf.put(1)
    assert put("1", None).keyids == ()
    release = (tmp_path / "pub/Caps/1/release.json").read_bytes()
    assert put("1", "a").status == "signed"
    done = put("1", "b")
    assert (done.status, done.keyids) == ("signed", (signer("a").keyid, signer("b").keyid))
    assert (tmp_path / "pub/Caps/1/release.json").read_bytes() == release
    for name in "ab":
        verify_release(done.folder, Trust().add(signer(name).public))


def test_a_version_never_changes(shelf: Any, put: Put, tmp_path: Path) -> None:
    folder = shelf.put(1)
    put("1")
    before = snapshot(tmp_path / "pub")
    (folder / "notes.txt").write_text("another")
    shelf.relist(1)
    with pytest.raises(ConflictError, match="published with another manifest"):
        put("1")
    assert snapshot(tmp_path / "pub") == before


def test_the_champion_is_carried(shelf: Any, put: Put) -> None:
    shelf.put(1, champion=1)
    put("1")
    shelf.put(2, champion=2)
    assert put("1").champion == 1  # version 2 is not published: devices must find what `best` names
    assert put("2").champion == 2
    shelf.register(2, champion=1)
    assert (put("2").status, put("2").status) == ("champion", "unchanged")


def test_other_models_stay(shelf: Any, put: Put, tmp_path: Path) -> None:
    (tmp_path / "pub").mkdir()
    others = {"Cups": {"champion": None, "versions": {"3": {"path": "Cups/3", "manifest_sha256": "a" * 64}}}}
    (tmp_path / "pub/registry.json").write_text(json.dumps({"schema": 1, "models": others}))
    shelf.put(1)
    put("1")
    models = json.loads((tmp_path / "pub/registry.json").read_text())["models"]
    assert models["Cups"] == others["Cups"] and set(models) == {"Cups", "Caps"}


@pytest.mark.parametrize("where", ["source", "published"])
def test_what_differs_from_its_manifest_is_not_published(shelf: Any, put: Put, tmp_path: Path, where: str) -> None:
    folder = shelf.put(1)
    if where == "published":
        put("1")
        folder = tmp_path / "pub/Caps/1"
    (folder / "labels.json").write_text("[]")
    with pytest.raises(IntegrityError, match=r"changed: labels\.json"):
        put("1", "b")
    assert (tmp_path / "pub").exists() is (where == "published")


def test_a_dry_run_writes_nothing(shelf: Any, put: Put, signer: Any, tmp_path: Path) -> None:
    shelf.put(1)
    planned = put("1", dry_run=True)
    assert (planned.status, planned.keyids) == ("published", (signer("a").keyid,))
    assert put("1", None, dry_run=True).keyids == ()
    assert not (tmp_path / "pub").exists()
    put("1")
    before = snapshot(tmp_path / "pub")
    planned = put("1", "b", dry_run=True)
    assert (planned.status, planned.keyids) == ("signed", (signer("a").keyid, signer("b").keyid))
    assert put("1", "a", dry_run=True).keyids == (signer("a").keyid,)
    assert snapshot(tmp_path / "pub") == before


def test_one_publisher_at_a_time(shelf: Any, put: Put, tmp_path: Path) -> None:
    shelf.put(1)
    (tmp_path / "pub").mkdir()
    with (tmp_path / "pub/.lock").open("ab") as file:
        take_lock(file, "")
        with pytest.raises(LockedError, match="somebody else publishes"):
            put("1")


def test_an_unknown_version(put: Put, shelf: Any, tmp_path: Path) -> None:
    shelf.put(1)
    with pytest.raises(NotFoundError, match="no version 2"):
        put("2")
    assert not (tmp_path / "pub").exists()


def test_a_folder_that_is_in_the_way_is_not_touched(shelf: Any, put: Put, tmp_path: Path) -> None:
    shelf.put(1)
    (tmp_path / "pub/Caps/1").mkdir(parents=True)
    (tmp_path / "pub/Caps/1/mine.txt").write_text("mine")
    with pytest.raises(ConflictError, match="move it away"):
        put("1")
    assert (tmp_path / "pub/Caps/1/mine.txt").read_text() == "mine"


def test_a_full_disk_says_so(shelf: Any, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put(1)
    put("1")
    before = snapshot(tmp_path / "pub")
    shelf.put(2)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StorageError, match="No space"):
            put("2")
    assert {name: data for name, data in snapshot(tmp_path / "pub").items() if ".incoming" not in name} == before
    assert put("2").status == "published"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("start", ["nothing", "version 1", "unsigned"])
def test_killed_at_every_step(
    shelf: Any, signer: Callable[[str], Signer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    """Whenever it dies, every version that the index names is whole for devices, and the next publishing ends well."""
    monkeypatch.setattr("scoring.edge.pull.self_test", lambda folder, **_: None)
    monkeypatch.setattr("os.fsync", lambda handle: None)
    key, source = signer("a"), LocalRegistry(shelf.models)
    clean, to = tmp_path / "clean", tmp_path / "pub"
    clean.mkdir()
    shelf.put(1, champion=1)
    if start != "nothing":
        publish(source, "Caps", "1", clean, signer=key)
    shelf.put(2, champion=2)
    if start == "unsigned":
        publish(source, "Caps", "2", clean, signer=None)
    for step in range(1, 500):
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(clean, to)
        finished = run_killed_at(step, lambda: publish(source, "Caps", "2", to, signer=key), to)
        if (to / "registry.json").exists():
            for number in LocalRegistry(to).index().models["Caps"]["versions"]:
                load_bundle(to / "Caps" / number, manifest_sha256=source.resolve("Caps", number).manifest_sha256)
            assert pull(LocalRegistry(to), "Caps", "best", tmp_path / f"device{step}").status == "updated"
        done = publish(source, "Caps", "2", to, signer=key)
        assert (done.champion, done.keyids) == (2, (key.keyid,)), f"killed at {step}"
        verify_release(done.folder, Trust().add(key.public), version=2)
        left = [path for path in to.rglob("*") if path.name.endswith(".tmp") or path.parent.name == ".incoming"]
        assert not left, f"killed at {step}"
        if finished:
            break
    assert finished and step > (20 if start != "unsigned" else 5)


def test_the_command(
    shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cva(*arguments: str) -> tuple[int, Any, str]:
        code = main(["--json", *arguments])
        printed = capsys.readouterr()
        return code, json.loads(printed.out), printed.err

    shelf.put(1)
    shelf.put(2)
    code, _, words = cva("model", "publish-static", "Caps", "--to", "pub")
    assert (code, "--unsigned" in words) == (2, True)
    cva("keys", "new", "--out", "keys")
    assert cva("model", "publish-static", "Caps", "--to", "pub", "--unsigned", "--key", "keys/release.key")[0] == 2
    code, done, _ = cva("model", "publish-static", "Caps:1", "--to", "pub", "--unsigned")
    assert (code, done["status"], done["keyids"]) == (0, "published", [])
    monkeypatch.setenv("CVA_SIGNING_KEY_FILE", "keys/release.key")
    assert cva("model", "publish-static", "Caps", "--to", "pub", "--dry-run")[1]["dry_run"] is True
    code, done, _ = cva("model", "publish-static", "Caps", "--to", "pub")  # no champion: the latest
    assert (code, done["version"], len(done["keyids"])) == (0, 2, 1)
    assert done["paths"]["model"] == str(tmp_path / "pub/Caps/2")
    (tmp_path / "keys/release.key").chmod(0o644)
    assert cva("model", "publish-static", "Caps:1", "--to", "pub")[0] == 2
