"""A release, its signatures and the keys that count: what was signed is what loads, to the byte."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.bundle import load_bundle
from scoring.edge.publish import publish
from scoring.edge.registry import LocalRegistry
from scoring.edge.signing import (
    CONTEXT,
    Release,
    Signature,
    Signer,
    find_signer,
    keyid_of,
    new_key_pair,
    parse_release,
    parse_signatures,
    read_public_key,
    read_signer,
    signature_bytes,
)
from scoring.edge.trust import Trust, check_signature, find_trust, read_trust, verify_release
from scoring.errors import ConflictError, CvaError, IntegrityError, NotFoundError, UsageError

MakeSigner = Callable[..., Signer]
RELEASE = Release("Caps", 7, "a" * 64, "2026-05-01T10:00:00Z")

BLANKS = b" \n\t\r"
FLIPS = sorted({1 << bit for bit in range(8)} | {a ^ b for a, b in product(BLANKS, BLANKS) if a != b})


@pytest.fixture
def published(shelf: Any, signer: MakeSigner, tmp_path: Path) -> Path:
    """A signed bundle of key "a"."""
    shelf.put(1, champion=1)
    return publish(LocalRegistry(shelf.models), "Caps", "1", tmp_path / "pub", signer=signer("a")).folder


def trust_of(*signers: Signer) -> Trust:
    trust = Trust()
    for each in signers:
        trust = trust.add(each.public)
    return trust


def load_signed(folder: Path, trust: Trust) -> None:
    """As a server does."""
    load_bundle(folder, manifest_sha256=verify_release(folder, trust).manifest_sha256)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_one_changed_byte_of_a_signed_bundle_never_loads(
    published: Path, signer: MakeSigner, tmp_path: Path, data: st.DataObject
) -> None:
    """Fuzz the promise: any byte of any file, the manifest, the release and the signature included."""
    trust, copy = trust_of(signer("a")), tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(published, copy)
    load_signed(copy, trust)
    victim = data.draw(st.sampled_from(sorted(path for path in copy.rglob("*") if path.is_file())))
    content = bytearray(victim.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    victim.write_bytes(content)
    with pytest.raises(CvaError) as caught:
        load_signed(copy, trust)
    assert caught.value.exit_code == 4


def test_every_changed_byte_of_a_release_and_its_signature_is_refused(signer: MakeSigner) -> None:
    """All of them: each bit of each byte, capitals for small letters with it, and each blank for another blank."""
    release, trust = RELEASE.to_bytes(), trust_of(signer("a"))
    good = {"release": release, "signatures": signature_bytes([signer("a").sign(release)])}
    for what, data in good.items():
        for at, flip in product(range(len(data)), FLIPS):
            changed = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            try:
                parse_release(changed if what == "release" else release)
                check_signature(release, changed if what == "signatures" else good["signatures"], trust)
                if what == "release":  # another release: well formed, so its signature must not fit
                    check_signature(changed, good["signatures"], trust)
            except IntegrityError:
                continue
            pytest.fail(f"{what}: byte {at} changed by {flip:#x} was accepted")


@pytest.mark.parametrize("blank", [b" ", b"\n", b"\t", b"\r", b"\x00", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("front", [True, False])
def test_not_a_blank_is_added(signer: MakeSigner, blank: bytes, front: bool) -> None:
    release = RELEASE.to_bytes()
    for data, parse in ((release, parse_release), (signature_bytes([signer("a").sign(release)]), parse_signatures)):
        with pytest.raises(IntegrityError):
            parse(blank + data if front else data + blank)


@settings(max_examples=60, deadline=None)
@given(
    extra=st.binary(min_size=1, max_size=3), name=st.sampled_from(["release.json", "release.sig"]), front=st.booleans()
)
def test_extra_bytes_are_refused_even_blanks(
    published: Path, signer: MakeSigner, extra: bytes, name: str, front: bool
) -> None:
    before = (published / name).read_bytes()
    (published / name).write_bytes(extra + before if front else before + extra)
    try:
        with pytest.raises(IntegrityError):
            load_signed(published, trust_of(signer("a")))
    finally:
        (published / name).write_bytes(before)


@pytest.mark.parametrize("name", ["release.json", "release.sig"])
def test_unsigned_is_refused(published: Path, signer: MakeSigner, name: str) -> None:
    (published / name).unlink()
    with pytest.raises(IntegrityError, match="not signed"):
        load_signed(published, trust_of(signer("a")))


def test_a_good_release_of_another_name_version_or_bundle_is_refused(
    published: Path, signer: MakeSigner, tiny_bundle: Callable[..., Path]
) -> None:
    trust = trust_of(signer("a"))
    assert verify_release(published, trust, name="Caps", version=1).version == 1
    with pytest.raises(IntegrityError, match="version: expected 2, found 1"):
        verify_release(published, trust, version=2)
    with pytest.raises(IntegrityError, match="name: expected Cups, found Caps"):
        verify_release(published, trust, name="Cups")
    other = tiny_bundle("other", license="another")
    for name in ("release.json", "release.sig"):
        shutil.copy(published / name, other / name)
    with pytest.raises(IntegrityError, match="manifest's sha256"):
        verify_release(other, trust)


def test_only_a_trusted_key_counts(signer: MakeSigner) -> None:
    release = RELEASE.to_bytes()
    signed = signature_bytes([signer("a").sign(release)])
    assert check_signature(release, signed, trust_of(signer("a"), signer("b"))) == signer("a").keyid
    with pytest.raises(IntegrityError, match="is not trusted here"):
        check_signature(release, signed, trust_of(signer("b")))
    with pytest.raises(IntegrityError, match="is not trusted here"):
        check_signature(release, signed, Trust())
    pretended = Signature(signer("a").keyid, signer("b").sign(release).value)
    with pytest.raises(IntegrityError, match="does not fit"):
        check_signature(release, signature_bytes([pretended]), trust_of(signer("a"), signer("b")))


def test_keys_change_over_while_both_sign(signer: MakeSigner) -> None:
    release, old, new = RELEASE.to_bytes(), signer("a"), signer("b")
    both = signature_bytes([old.sign(release), new.sign(release)])
    for trust in (trust_of(old), trust_of(new), trust_of(old, new), trust_of(old, new).revoke(old.keyid, "lost")):
        assert check_signature(release, both, trust)


def test_a_revoked_keys_signature_counts_for_nothing_even_on_old_releases(signer: MakeSigner) -> None:
    release, key = RELEASE.to_bytes(), signer("a")  # released long before
    signed, trust = signature_bytes([key.sign(release)]), trust_of(key)
    assert check_signature(release, signed, trust) == key.keyid
    revoked = trust.revoke(key.keyid, "a laptop was stolen")
    with pytest.raises(IntegrityError, match="was revoked at"):
        check_signature(release, signed, revoked)
    assert revoked.policy == "enforce"  # revoking the last key opens nothing
    with pytest.raises(ConflictError, match="a laptop was stolen"):
        revoked.add(key.public)
    assert revoked.revoke(key.keyid, "again") == revoked
    with pytest.raises(NotFoundError, match="no key"):
        revoked.revoke("0" * 32, "")


def test_a_signature_of_the_bare_bytes_is_none(signer: MakeSigner) -> None:
    """A key's signature over something else never stands for a release."""
    release, key = RELEASE.to_bytes(), signer("a")
    bare = Signature(key.keyid, key.private.sign(release))
    with pytest.raises(IntegrityError, match="does not fit"):
        check_signature(release, signature_bytes([bare]), trust_of(key))
    assert CONTEXT.endswith(b"\n")


@given(st.text(max_size=20), st.integers(), st.text("0123456789abcdef", min_size=64, max_size=64), st.text(max_size=20))
def test_a_release_survives_its_bytes(name: str, version: int, digest: str, when: str) -> None:
    release = Release(name, version, digest, when)
    assert parse_release(release.to_bytes()) == release


@given(st.binary(max_size=200))
def test_what_is_no_release_or_signature_is_refused(data: bytes) -> None:
    for parse in (parse_release, parse_signatures):
        with pytest.raises(IntegrityError):
            parse(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value | {"extra": 1},
        lambda value: value | {"version": "7"},
        lambda value: value | {"version": True},
        lambda value: {key: item for key, item in value.items() if key != "released_at"},
        lambda value: dict(reversed(value.items())),
    ],
)
def test_a_release_has_exactly_its_fields(change: Callable[[Any], Any]) -> None:
    value = change(json.loads(RELEASE.to_bytes()))
    with pytest.raises(IntegrityError):
        parse_release(json.dumps(value, indent=1).encode() + b"\n")


def test_signatures_that_are_not_as_written(signer: MakeSigner) -> None:
    good = json.loads(signature_bytes([signer("a").sign(b"x")]))
    item = good["signatures"][0]
    for items in ([], [item, item], [item | {"algorithm": "rsa"}], [item | {"keyid": "A" * 32}], [1], [item] * 17):
        with pytest.raises(IntegrityError):
            parse_signatures(json.dumps(good | {"signatures": items}, indent=1).encode() + b"\n")
    with pytest.raises(IntegrityError):
        parse_signatures(json.dumps(good | {"schema": 2}, indent=1).encode() + b"\n")
    with pytest.raises(IntegrityError, match="at most"):
        parse_signatures(b" " * 70_000)


def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, public = new_key_pair(None)
    path = tmp_path / "a.key"
    path.write_bytes(secret)
    for mode in (0o640, 0o604, 0o644):
        path.chmod(mode)
        with pytest.raises(UsageError, match=f"found {mode:04o}"):
            read_signer(path)
    path.chmod(0o600)
    (tmp_path / "a.pub").write_bytes(public)
    assert read_signer(path).public == read_public_key(tmp_path / "a.pub")
    assert find_signer() is None
    monkeypatch.setenv("CVA_SIGNING_KEY_FILE", str(path))
    signer = find_signer()
    assert signer is not None and signer.keyid == keyid_of(read_public_key(tmp_path / "a.pub"))
    assert "PRIVATE" not in repr(signer)


def test_a_passphrase_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(new_key_pair(b"open sesame")[0])
    path.chmod(0o600)
    for words in (None, "open barley"):
        if words:
            monkeypatch.setenv("CVA_SIGNING_KEY_PASSPHRASE", words)
        with pytest.raises(UsageError, match="private key") as caught:
            read_signer(path)
        assert "barley" not in str(caught.value)
    monkeypatch.setenv("CVA_SIGNING_KEY_PASSPHRASE", "open sesame")
    assert read_signer(path).keyid


def test_keys_of_another_kind_are_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "key"
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(UsageError, match="Ed25519 private key"):
        read_signer(path)
    path.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(UsageError, match="Ed25519 public key"):
        read_public_key(path)
    path.write_bytes(b"no key")
    with pytest.raises(UsageError, match="Ed25519 public key"):
        read_public_key(path)
    for read in (read_public_key, read_signer):
        with pytest.raises(NotFoundError):
            read(tmp_path / "none")


def test_keys_that_no_library_knows_any_more_are_refused(tmp_path: Path) -> None:
    """Of the curve secp112r1."""
    curve = bytes.fromhex("301006072a8648ce3d020106052b81040006")
    public = b"\x30\x32" + curve + b"\x03\x1e\x00\x04" + bytes(range(1, 29))
    inner = b"\x30\x13\x02\x01\x01\x04\x0e" + bytes(range(1, 15))
    private = b"\x30\x2c\x02\x01\x00" + curve + b"\x04\x15" + inner
    path = tmp_path / "key"
    for kind, data, read in (("PUBLIC", public, read_public_key), ("PRIVATE", private, read_signer)):
        lines = (f"-----BEGIN {kind} KEY-----", base64.b64encode(data).decode(), f"-----END {kind} KEY-----", "")
        path.write_text("\n".join(lines))
        path.chmod(0o600)
        with pytest.raises(UsageError, match=f"Ed25519 {kind.lower()} key"):
            read(path)


def test_a_pinned_key_that_is_no_ascii_is_broken(tmp_path: Path, signer: MakeSigner) -> None:
    path = tmp_path / "keys.json"
    trust_of(signer("a")).write(path)
    value = json.loads(path.read_text())
    value["keys"][0]["public"] = "käse"
    path.write_text(json.dumps(value))
    with pytest.raises(IntegrityError, match="not base64"):
        read_trust(path)


def test_the_pinned_keys_survive_their_file(tmp_path: Path, signer: MakeSigner) -> None:
    trust = trust_of(signer("a"), signer("b")).revoke(signer("a").keyid, "lost")
    trust.write(tmp_path / "keys.json")
    assert read_trust(tmp_path / "keys.json") == trust
    assert read_trust(tmp_path / "none") == Trust()


def test_where_the_pinned_keys_are(tmp_path: Path, signer: MakeSigner, monkeypatch: pytest.MonkeyPatch) -> None:
    given, environment, beside = (trust_of(signer(name)) for name in "abc")
    (tmp_path / "dest").mkdir()
    given.write(tmp_path / "given.json")
    environment.write(tmp_path / "environment.json")
    assert find_trust(None, tmp_path / "dest") == Trust()
    beside.write(tmp_path / "dest/trusted_keys.json")
    assert find_trust(None, tmp_path / "dest") == beside
    monkeypatch.setenv("CVA_TRUSTED_KEYS", str(tmp_path / "environment.json"))
    assert find_trust(None, tmp_path / "dest") == environment
    assert find_trust(tmp_path / "given.json", tmp_path / "dest") == given
    (tmp_path / "environment.json").unlink()
    with pytest.raises(NotFoundError):  # a file that was named and is gone is not "nobody is trusted, so anybody is"
        find_trust(None, tmp_path / "dest")


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value | {"schema": 2},
        lambda value: value | {"keys": {}},
        lambda value: value | {"keys": value["keys"] * 2},
        lambda value: value | {"keys": [value["keys"][0] | {"keyid": "0" * 32}]},
        lambda value: value | {"keys": [value["keys"][0] | {"public": "?"}]},
        lambda value: value | {"keys": [value["keys"][0] | {"revoked_at": False}]},  # a typo must not un-revoke
        lambda value: value | {"keys": [{"keyid": value["keys"][0]["keyid"]}]},
    ],
)
def test_pinned_keys_that_are_not_as_written(tmp_path: Path, signer: MakeSigner, change: Callable[[Any], Any]) -> None:
    trust_of(signer("a")).write(tmp_path / "keys.json")
    value = change(json.loads((tmp_path / "keys.json").read_text()))
    for text in (json.dumps(value), "{"):
        (tmp_path / "keys.json").write_text(text)
        with pytest.raises(IntegrityError, match="trusted keys"):
            read_trust(tmp_path / "keys.json")
