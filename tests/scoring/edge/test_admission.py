"""What off, warn and enforce let in; rotation and revocation as a device lives through them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.bundle import load_bundle
from scoring.edge.admission import Signing
from scoring.edge.publish import publish
from scoring.edge.pull import pull
from scoring.edge.registry import LocalRegistry
from scoring.edge.result import PullResult
from scoring.edge.signing import Release, Signer, signature_bytes
from scoring.edge.store import Store
from scoring.edge.trust import Policy, Trust, verify_release
from scoring.errors import IntegrityError, NotFoundError


class Site:
    """A publisher's folder, a device, and the keys that it has pinned."""

    def __init__(self, shelf: Any, folder: Path, signer: Callable[[str], Signer]) -> None:
        self.shelf, self.pub, self.dest, self.signer = shelf, folder / "pub", folder / "device", signer
        self.store = Store(self.dest / "Caps")

    def publish(self, version: int, key: str | None = "a") -> Path:
        if not (self.shelf.models / f"Caps/{version}").exists():
            self.shelf.put(version)
        by = self.signer(key) if key else None
        return publish(LocalRegistry(self.shelf.models), "Caps", str(version), self.pub, signer=by).folder

    def trust(self, *names: str, revoked: str = "") -> None:
        trust = Trust()
        for name in names:
            trust = trust.add(self.signer(name).public)
        if revoked:
            trust = trust.revoke(self.signer(revoked).keyid, "lost")
        self.dest.mkdir(exist_ok=True)
        trust.write(self.dest / "trusted_keys.json")

    def pull(self, policy: Policy | None = None, version: str = "latest") -> PullResult:
        return pull(LocalRegistry(self.pub), "Caps", version, self.dest, signing=Signing.of(self.dest, policy))


@pytest.fixture
def site(shelf: Any, tmp_path: Path, signer: Callable[[str], Signer], monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("scoring.edge.pull.self_test", lambda folder, **_: None)
    return Site(shelf, tmp_path, signer)


def test_a_device_that_pinned_a_key_enforces(site: Site) -> None:
    site.publish(1)
    site.trust("a")
    done = site.pull()
    assert done.admitted is not None
    assert (done.admitted.policy, done.admitted.keyid) == ("enforce", site.signer("a").keyid)
    verify_release(site.store.root / "current", Trust().add(site.signer("a").public), name="Caps", version=1)


def test_a_device_that_pinned_none_warns(site: Site) -> None:
    site.publish(1, None)
    done = site.pull()
    assert done.admitted is not None
    assert (done.status, done.admitted.policy, done.admitted.keyid) == ("updated", "warn", "")
    assert "not signed" in done.admitted.problem


BREAKS = ["missing", "no release", "other key", "revoked", "one byte", "extra byte", "other bytes signed", "empty"]


def break_(site: Site, folder: Path, how: str) -> None:
    release, sig = folder / "release.json", folder / "release.sig"
    if how == "missing":
        sig.unlink()
    elif how == "no release":
        release.unlink()
    elif how == "other key":
        sig.write_bytes(signature_bytes([site.signer("b").sign(release.read_bytes())]))
    elif how == "revoked":
        site.trust("a", revoked="a")
    elif how == "one byte":
        sig.write_bytes(sig.read_bytes().replace(b"ed25519", b"ed25518"))
    elif how == "extra byte":
        release.write_bytes(release.read_bytes() + b"\n")
    elif how == "other bytes signed":
        sig.write_bytes(signature_bytes([site.signer("a").sign(b"else")]))
    elif how == "empty":
        sig.write_bytes(b"")


@pytest.mark.parametrize("how", BREAKS)
def test_enforce_refuses_and_the_current_version_stays(site: Site, how: str) -> None:
    site.trust("a")
    site.publish(1)
    site.pull()
    break_(site, site.publish(2), how)
    with pytest.raises(IntegrityError) as caught:
        site.pull()
    assert caught.value.exit_code == 4
    assert (site.store.current(), [path.name for path in site.store.versions.iterdir()]) == (1, ["1"])
    load_bundle(site.store.root / "current")


@pytest.mark.parametrize("how", BREAKS)
def test_warn_says_what_is_wrong_and_goes_on(site: Site, how: str) -> None:
    site.trust("a")
    break_(site, site.publish(1), how)
    done = site.pull("warn")
    assert done.status == "updated" and done.admitted is not None and done.admitted.problem


def test_off_does_not_look(site: Site) -> None:
    site.trust("a")
    folder = site.publish(1)
    (folder / "release.json").write_text("nonsense")
    done = site.pull("off")
    assert done.status == "updated" and done.admitted is not None and not done.admitted.problem
    assert not (site.store.root / "current/release.json").exists()


@pytest.mark.parametrize("policy", ["warn", "enforce"])
@pytest.mark.parametrize(
    "change", [{"version": 2}, {"name": "Cups"}, {"manifest_sha256": "a" * 64}], ids=lambda change: next(iter(change))
)
def test_a_release_of_something_else_is_refused_however_well_it_is_signed(
    site: Site, policy: Policy, change: dict[str, Any]
) -> None:
    site.trust("a")
    folder = site.publish(1)
    release = Release(**{**json.loads((folder / "release.json").read_bytes()), **change}).to_bytes()
    (folder / "release.json").write_bytes(release)
    (folder / "release.sig").write_bytes(signature_bytes([site.signer("a").sign(release)]))
    with pytest.raises(IntegrityError, match="is of something else"):
        site.pull(policy)
    assert site.store.current() is None


def test_keys_change_over_without_a_new_version(site: Site) -> None:
    """Key b takes over from a: published again, its signature reaches the devices, and then a may be revoked."""
    site.trust("a")
    site.publish(1)
    site.pull()
    site.publish(1, "b")
    site.trust("a", "b")
    assert site.pull().status == "current"
    site.trust("a", "b", revoked="a")
    assert site.pull().status == "current"
    trust = Trust().add(site.signer("b").public)
    verify_release(site.store.root / "current", trust)
    load_bundle(site.store.root / "current")


def test_a_signature_that_came_later_reaches_the_device(site: Site) -> None:
    site.publish(1, None)
    site.pull("warn")
    site.publish(1, "a")
    site.trust("a")
    assert site.pull().status == "current"
    verify_release(site.store.root / "current", Trust().add(site.signer("a").public))


def test_a_registry_that_lost_its_signatures_takes_none_from_the_device(site: Site) -> None:
    site.trust("a")
    folder = site.publish(1)
    site.pull()
    (folder / "release.sig").write_bytes(signature_bytes([site.signer("b").sign(b"x")]))
    assert site.pull("warn").status == "current"
    verify_release(site.store.root / "current", Trust().add(site.signer("a").public))


def test_a_new_release_of_the_same_version_does_not_replace_a_good_one(site: Site) -> None:
    site.trust("a")
    folder = site.publish(1)
    site.pull()
    before = (site.store.root / "current/release.json").read_bytes()
    release = Release(**{**json.loads(before), "released_at": "2031-01-01T00:00:00Z"}).to_bytes()
    (folder / "release.json").write_bytes(release)
    (folder / "release.sig").write_bytes(signature_bytes([site.signer("a").sign(release)]))
    assert site.pull().status == "current"
    assert (site.store.root / "current/release.json").read_bytes() == before


@pytest.mark.parametrize("lost", [False, True])
def test_a_version_that_the_registry_changed_is_refused(site: Site, lost: bool) -> None:
    """Also when it is long gone from the device; a signature makes it no better."""
    site.trust("a")
    for version in (1, 2, 3) if lost else (1,):
        site.publish(version)
        site.pull()
    (site.shelf.models / "Caps/1/notes.txt").write_text("another")
    site.shelf.relist(1)
    index = json.loads(site.shelf.read_index())
    (site.pub / "registry.json").unlink()
    (site.pub / "Caps/1").rename(site.pub / "old")
    publish(LocalRegistry(site.shelf.models), "Caps", "1", site.pub, signer=site.signer("a"))
    assert index["models"]["Caps"]["versions"].keys() >= {"1"}
    with pytest.raises(IntegrityError, match="the registry changed Caps:1"):
        pull(LocalRegistry(site.pub), "Caps", "1", site.dest, allow_downgrade=True)
    load_bundle(site.store.root / "current")


def test_pinned_keys_that_were_named_and_are_gone_stop_everything(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(1)
    monkeypatch.setenv("CVA_TRUSTED_KEYS", "gone.json")
    with pytest.raises(NotFoundError, match="no file of trusted keys"):
        site.pull()
