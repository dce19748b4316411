"""Where the served model comes from: the registry, a folder that is swapped, and a pull that may be offline."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL import Image

from scoring.bundle import write_manifest
from scoring.edge.pull import pull
from scoring.edge.registry import LocalRegistry, Resolved
from scoring.edge.signing import Release, Signer, signature_bytes
from scoring.edge.static import StaticRegistry
from scoring.edge.store import Store
from scoring.edge.trust import Trust
from scoring.edge.web import WebFolder
from scoring.errors import IntegrityError, NotFoundError, OfflineError, SelfTestError, UntestedError, UsageError
from scoring.server.pulled import PulledModel, bundle_in, open_source
from scoring.server.reload import Reloader
from scoring.server.service import ServedModel, Service
from scoring.server.settings import ServeSettings
from scoring.server.source import BundleFolder, RegisteredModel, Source, load
from tests.scoring.conftest import manifest
from tests.scoring.edge.conftest import Shelf
from tests.scoring.edge.webserver import serve

Make = Callable[..., Path]


@pytest.fixture
def shelf(tmp_path: Path, tiny_bundle: Make) -> Shelf:
    return Shelf(tmp_path / "workspace", tiny_bundle)


def served(source: Source) -> ServedModel:
    return load(source, threads=1, provider="cpu")


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


class Away:
    """A registry whose network is gone."""

    def resolve(self, name: str, version: str) -> Resolved:
        raise OfflineError("cannot reach the registry")

    def manifest(self, name: str, version: int) -> bytes:
        raise OfflineError("cannot reach the registry")

    def fetch(self, name: str, version: int, path: str) -> BinaryIO:
        raise OfflineError("cannot reach the registry")


def test_a_registered_model_has_its_name_version_and_pinned_manifest(shelf: Shelf) -> None:
    folder = shelf.put(3)
    model = served(open_source(model="Caps:3", environ={}))
    assert (model.name, model.version, model.manifest_sha256) == ("Caps", "3", digest(folder))
    assert model.loaded_at.endswith("Z")
    [found] = model.detector.detect([Image.new("RGB", (40, 20), (200, 150, 10))])
    assert list(found.labels) == [1]


def test_a_bare_name_follows_the_champion_else_the_latest(shelf: Shelf) -> None:
    shelf.put(1)
    shelf.put(2)
    source = open_source(model="Caps", environ={})
    assert source.find().version == "2"
    before = source.look()
    shelf.register(2, champion=1)
    assert source.look() != before
    assert source.find().version == "1"


def test_a_number_never_changes(shelf: Shelf) -> None:
    shelf.put(1)
    source = open_source(model="Caps:1", environ={})
    before = source.look()
    shelf.put(2, champion=2)
    assert source.look() == before
    assert source.find().version == "1"


def test_looking_again_changes_nothing(shelf: Shelf, tiny_bundle: Make) -> None:
    shelf.put(1)
    pulled = PulledModel(LocalRegistry.of(), "Caps", "latest", shelf.workspace.parent / "store")
    pulled.find()
    for source in (open_source(model="Caps", environ={}), BundleFolder(tiny_bundle("b")), pulled):
        assert source.look() == source.look()


def test_one_changed_byte_is_refused_although_the_manifest_was_written_anew(shelf: Shelf) -> None:
    """Whoever can change a registered folder can write a manifest that fits; the registry's hash does not."""
    folder = shelf.put(1)
    (folder / "labels.json").write_text('["other"]')
    with pytest.raises(IntegrityError, match=r"changed: labels\.json"):
        served(open_source(model="Caps", environ={}))
    value = json.loads((folder / "manifest.json").read_bytes())
    write_manifest(folder, {**value, "license": "none"})
    with pytest.raises(IntegrityError, match="expected a manifest with sha256"):
        served(open_source(model="Caps", environ={}))


@pytest.mark.parametrize("reference", ["Caps:2", "Other", "Caps@champion"])
def test_what_is_not_registered_is_said_at_once(shelf: Shelf, reference: str) -> None:
    shelf.put(1)
    source = open_source(model=reference, environ={})
    assert not source.patient
    with pytest.raises(NotFoundError):
        served(source)


def test_a_folder_that_no_release_names_has_no_version(tiny_bundle: Make) -> None:
    model = served(open_source(bundle=tiny_bundle("some-folder"), environ={}))
    assert (model.name, model.version) == ("Caps", "")


@pytest.mark.parametrize("name", ["Caps\r\nx-other: 1", "Käppchen", "", "a" * 101])
def test_a_name_that_cannot_be_a_header_is_refused(tiny_bundle: Make, name: str) -> None:
    folder = tiny_bundle()
    write_manifest(folder, manifest(name))
    with pytest.raises(IntegrityError, match="the manifest's name"):
        BundleFolder(folder).find()


def test_the_version_of_a_folder_is_the_release_s_else_the_folder_s_number(tiny_bundle: Make) -> None:
    folder = tiny_bundle("versions/7")
    assert BundleFolder(folder).find().version == "7"
    release(folder, version=8)
    assert BundleFolder(folder).find().version == "8"


def release(folder: Path, version: int) -> None:
    value = Release("Caps", version, digest(folder), "2026-05-01T10:00:00Z")
    (folder / "release.json").write_bytes(value.to_bytes())


@pytest.mark.parametrize(
    "words",
    [
        Release("Caps", 1, "0" * 64, "2026-05-01T10:00:00Z").to_bytes(),  # of another bundle
        b'{"version": "7\\r\\nx-other: 1"}',  # it becomes an HTTP header
        b"[" * 5000,
        b"nonsense",
    ],
)
def test_a_release_that_does_not_fit_is_refused(tiny_bundle: Make, words: bytes) -> None:
    folder = tiny_bundle()
    (folder / "release.json").write_bytes(words)
    with pytest.raises(IntegrityError, match=r"release\.json"):
        BundleFolder(folder).find()


class Keys:
    """A pair, and the file of a device that trusts it."""

    def __init__(self, folder: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.signer = Signer(Ed25519PrivateKey.generate())
        self.trust = Trust().add(self.signer.private.public_key().public_bytes_raw())
        self.trust.write(folder / "trusted_keys.json")

    def sign(self, folder: Path, version: int) -> None:
        release(folder, version)
        signature = self.signer.sign((folder / "release.json").read_bytes())
        (folder / "release.sig").write_bytes(signature_bytes([signature]))


def test_where_keys_are_pinned_only_what_they_signed_is_loaded(
    tiny_bundle: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(tmp_path)
    folder = tiny_bundle()
    monkeypatch.setenv("CVA_TRUSTED_KEYS", str(tmp_path / "trusted_keys.json"))
    with pytest.raises(IntegrityError, match="it is not signed"):
        served(BundleFolder(folder))
    keys.sign(folder, 5)
    assert served(BundleFolder(folder)).version == "5"
    release(folder, 6)  # who changes a folder can write all of this but the signature
    with pytest.raises(IntegrityError, match="signature"):
        served(BundleFolder(folder))
    keys.sign(folder, 6)
    keys.trust.revoke(keys.signer.keyid, "lost").write(tmp_path / "trusted_keys.json")
    with pytest.raises(IntegrityError, match="was revoked"):
        served(BundleFolder(folder))


def test_keys_pinned_beside_a_store_hold_for_what_is_served_from_it(tiny_bundle: Make, tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    folder = tiny_bundle("Caps/versions/3")
    (tmp_path / "Caps" / "current").symlink_to("versions/3")
    with pytest.raises(IntegrityError, match="it is not signed"):
        served(BundleFolder(tmp_path / "Caps" / "current"))
    keys.sign(folder, 3)
    assert served(BundleFolder(tmp_path / "Caps" / "current")).version == "3"


def test_the_current_link_of_a_pull_is_followed(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put(1)
    pull(LocalRegistry.of(), "Caps", "latest", tmp_path / "store")
    source = open_source(bundle=tmp_path / "store" / "Caps" / "current", environ={})
    first, before = source.find(), source.look()
    shelf.put(2)
    pull(LocalRegistry.of(), "Caps", "latest", tmp_path / "store")
    assert source.look() != before
    assert (first.version, source.find().version) == ("1", "2")
    assert first.folder.name == "1"  # exact: a load that is under way reads one version


@pytest.mark.parametrize("given", ["Caps", "Caps/current"])
def test_a_current_file_is_followed_where_there_are_no_links(shelf: Shelf, tmp_path: Path, given: str) -> None:
    for version in (1, 2):
        shelf.put(version)
        pull(LocalRegistry.of(), "Caps", "latest", tmp_path / "store")
    (tmp_path / "store" / "Caps" / "current").unlink()
    pointer = tmp_path / "store" / "Caps" / "CURRENT"
    pointer.write_text("1\n")
    source = BundleFolder(tmp_path / "store" / given)
    before = source.look()
    assert source.find().version == "1"
    pointer.write_text("2\n")
    assert source.look() != before
    assert source.find().version == "2"


def test_a_folder_without_a_bundle_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        served(open_source(bundle=tmp_path, environ={}))
    with pytest.raises(NotFoundError):
        served(open_source(bundle=tmp_path / "nowhere", environ={}))


def test_a_version_that_a_pull_removes_while_it_is_read_is_followed_to_the_next(shelf: Shelf, tmp_path: Path) -> None:
    """Law: a load gives one whole version, whatever a pull does meanwhile."""
    shelf.put(1)
    store = Store(tmp_path / "store" / "Caps")
    pull(LocalRegistry.of(), "Caps", "latest", tmp_path / "store")

    class Racing(BundleFolder):
        def find(self):  # type: ignore[no-untyped-def]
            found = super().find()
            if found.version == "1":
                shelf.put(2)
                pull(LocalRegistry.of(), "Caps", "latest", tmp_path / "store")
                shutil.rmtree(store.folder(1))
            return found

    assert served(Racing(store.root / "current")).version == "2"


def test_a_loaded_model_needs_its_folder_no_more(tiny_bundle: Make) -> None:
    folder = tiny_bundle()
    model = served(BundleFolder(folder))
    shutil.rmtree(folder)
    gc.collect()
    [found] = model.detector.detect([Image.new("RGB", (40, 20), (200, 150, 10))])
    assert list(found.labels) == [1]


def test_get_latest_model_serves_the_champion_from_a_store(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put(1)
    shelf.put(2, champion=1)
    environ = {"GET_LATEST_MODEL": "true", "EXPERIMENT_NAME": "Caps", "AZUREML_MODEL_DIR": str(tmp_path / "kept")}
    model = served(open_source(environ=environ))
    assert (model.name, model.version) == ("Caps", "1")
    assert Store(tmp_path / "kept" / "Caps").current() == 1


@pytest.mark.parametrize("said", ["argument", "environment"])
def test_a_registry_elsewhere_is_pulled_from(shelf: Shelf, tmp_path: Path, said: str) -> None:
    shelf.put(1)
    shelf.put(2, champion=1)
    registry = f"file:{shelf.models}"
    environ = {"CVA_REGISTRY": registry} if said == "environment" else {}
    source = open_source(
        model="Caps@latest", registry="" if environ else registry, store=tmp_path / "kept", environ=environ
    )
    assert source.find().folder == tmp_path / "kept" / "Caps" / "versions" / "2"
    bare = open_source(model="Caps", registry=registry, store=tmp_path / "other", environ={})
    assert bare.find().version == "1"  # the champion
    shelf.register(2)
    assert open_source(model="Caps", registry=registry, store=tmp_path / "more", environ={}).find().version == "2"


def test_what_is_pulled_lies_in_the_workspace_where_nobody_says_where(shelf: Shelf) -> None:
    shelf.put(1)
    source = open_source(model="Caps", registry=f"file:{shelf.models}", environ={})
    assert source.find().folder == shelf.workspace / "served" / "Caps" / "versions" / "1"


def test_get_latest_model_keeps_the_last_good_one_when_offline(
    shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.put(1)
    served(PulledModel(LocalRegistry.of(), "Caps", "latest", tmp_path / "kept"))
    model = served(PulledModel(Away(), "Caps", "best", tmp_path / "kept"))
    assert model.version == "1"
    assert "version 1 serves: cannot reach the registry" in caplog.text


def test_with_nothing_kept_and_nothing_reachable_the_source_waits(tmp_path: Path) -> None:
    source = PulledModel(Away(), "Caps", "best", tmp_path / "kept")
    assert source.patient
    with pytest.raises(NotFoundError, match="nothing is installed, and the registry: cannot reach"):
        served(source)


def test_a_mounted_bundle_is_the_last_good_one_of_a_machine_that_never_pulled(
    tiny_bundle: Make, tmp_path: Path
) -> None:
    mounted = tiny_bundle("mounted/model")
    source = PulledModel(Away(), "Caps", "best", tmp_path / "kept", BundleFolder(mounted))
    assert source.find().folder == mounted.resolve()


def test_a_new_version_that_fails_its_self_test_leaves_the_kept_one(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put(1)
    source = PulledModel(LocalRegistry.of(), "Caps", "latest", tmp_path / "kept")
    assert source.find().version == "1"
    shelf.put(2, golden=False)
    assert source.find().version == "1"


def test_what_the_server_refused_is_rolled_back_in_its_store_and_not_pulled_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put(1)
    source = PulledModel(LocalRegistry.of(), "Caps", "latest", tmp_path / "kept")
    source.find()
    shelf.put(2)
    second = source.find()
    assert second.version == "2"
    source.refuse(second, "it crashed here")
    assert source.store.current() == 1
    assert source.find().version == "1"
    with pytest.raises(SelfTestError, match="it crashed here"):
        pull(LocalRegistry.of(), "Caps", "latest", tmp_path / "kept")


def test_a_number_that_failed_its_self_test_is_fetched_once(shelf: Shelf, tmp_path: Path) -> None:
    """With nothing installed a server looks every few seconds, for as long as it takes."""
    shelf.put(7, golden=False)
    with serve(shelf.models) as (url, told):
        source = PulledModel(StaticRegistry(WebFolder(url)), "Caps", "7", tmp_path / "kept")
        made = Reloader(source, Service(ServeSettings(workers=1)), seconds=0)
        for _ in range(3):
            made.look()
        assert "rejected on this machine before" in str(made.status()["trouble"])
        assert [path for path, _ in told.seen].count("/Caps/7/model.onnx") == 1
    made.service.close()


@pytest.mark.parametrize("version", ["", "latest", "1"])
def test_a_look_asks_the_registry_once_and_gets_nothing_that_it_has(shelf: Shelf, tmp_path: Path, version: str) -> None:
    shelf.put(1)
    with serve(shelf.models) as (url, told):
        source = PulledModel(StaticRegistry(WebFolder(url)), "Caps", version, tmp_path / "kept")
        source.find()
        before = source.look()
        told.answered.clear()
        assert source.look() == before
        assert told.answered == [304]


def test_a_version_that_could_not_be_tried_is_looked_at_again_when_its_time_has_come(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(1)
    source = PulledModel(LocalRegistry.of(), "Caps", "latest", tmp_path / "kept")
    source.find()
    shelf.put(2)
    with monkeypatch.context() as patch:
        patch.setattr("scoring.edge.pull.self_test", _busy)
        before = source.look()
        assert source.find().version == "1"
    waiting = source.look()
    assert waiting != before
    assert source.find().version == "1"  # without another try
    assert source.look() == waiting
    later = datetime.now(timezone.utc) + timedelta(minutes=11)
    monkeypatch.setattr("scoring.edge.backoff._now", lambda: later)
    assert source.look() not in (before, waiting)
    assert source.find().version == "2"


def _busy(folder: Path, **_: object) -> None:
    raise UntestedError("no answer within 120 s")


def test_azureml_model_dir_holds_the_bundle_or_is_it(tiny_bundle: Make, tmp_path: Path) -> None:
    folder = tiny_bundle("mount/model")
    for given in (folder, tmp_path / "mount"):
        assert served(open_source(environ={"AZUREML_MODEL_DIR": str(given)})).name == "Caps"
    tiny_bundle("mount/other")
    with pytest.raises(NotFoundError, match=r"expected one bundle in .*, found 2"):
        bundle_in(tmp_path / "mount")


@pytest.mark.parametrize("links", [True, False], ids=["a link", "a file, where links cannot be made"])
def test_azureml_model_dir_may_be_what_a_pull_keeps(tiny_bundle: Make, tmp_path: Path, links: bool) -> None:
    """As a container's /models is; a new version there is found."""
    store = tmp_path / "kept"
    for version in (1, 2):
        tiny_bundle(f"kept/versions/{version}", created_at=f"2026-05-0{version}T10:00:00Z")
    source = None
    for version in ("1", "2"):
        if links:
            (store / "next").symlink_to(f"versions/{version}")
            (store / "next").replace(store / "current")
        else:
            (store / "CURRENT").write_text(version)
        source = source or open_source(environ={"AZUREML_MODEL_DIR": str(store)})
        assert served(source).version == version


def test_the_experiment_s_name_is_the_model_s_where_none_is_given(shelf: Shelf) -> None:
    shelf.put(4)
    assert open_source(environ={"EXPERIMENT_NAME": "Caps"}).find().version == "4"
    assert isinstance(open_source(model="Other", environ={"EXPERIMENT_NAME": "Caps"}), RegisteredModel)


def test_no_model_at_all_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="expected a model to serve"):
        open_source(environ={"GET_LATEST_MODEL": "true"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bundle": Path("b"), "registry": "file:r"}, "--bundle alone, found --registry beside"),
        ({"bundle": Path("b"), "store": Path("s")}, "--bundle alone, found --store beside"),
        ({"bundle": Path("b"), "registry": "r", "store": Path("s")}, "found --registry and --store beside"),
        ({"model": "Caps", "store": Path("s")}, "expected --registry with --store"),
        ({"store": Path("s")}, "expected --registry with --store"),
        ({"registry": "file:r"}, "expected a model to serve"),
    ],
)
@pytest.mark.parametrize("environ", [{}, {"AZUREML_MODEL_DIR": "mounted"}])
def test_options_that_would_do_nothing_are_refused(given: dict[str, Any], words: str, environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=words):
        open_source(**given, environ=environ)


@pytest.mark.parametrize("environ", [{"CVA_REGISTRY": "file:r"}, {"GET_LATEST_MODEL": "true"}])
def test_a_store_may_belong_to_a_registry_of_the_environment(
    shelf: Shelf, tmp_path: Path, environ: dict[str, str]
) -> None:
    source = open_source(model="Caps", store=tmp_path / "kept", environ=environ)
    assert isinstance(source, PulledModel)
    assert source.dest == tmp_path / "kept"
