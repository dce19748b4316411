"""The keys that a device trusts, pinned in one small file, and the verdict on a release that follows from them.

A revoked key's signature counts for nothing, whenever it was made. Knows nothing about registries or pulling.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from scoring.bundle import MANIFEST, MAX_MANIFEST_BYTES
from scoring.edge.signing import (
    MAX_BYTES,
    RELEASE,
    SCHEMA,
    SIGNATURES,
    Release,
    is_signed_by,
    keyid_of,
    parse_release,
    parse_signatures,
)
from scoring.errors import ConflictError, IntegrityError, NotFoundError
from scoring.files import write_json

Policy: TypeAlias = Literal["off", "warn", "enforce"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
TRUSTED_KEYS = "CVA_TRUSTED_KEYS"
FILE = "trusted_keys.json"


@dataclass(frozen=True)
class TrustedKey:
    keyid: str
    public: str  # base64 of the 32 raw bytes
    added_at: str
    revoked_at: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Trust:
    """Pinned keys. One that was ever pinned counts as pinning, so revoking the last key opens nothing."""

    keys: tuple[TrustedKey, ...] = ()

    @property
    def pinned(self) -> bool:
        return bool(self.keys)

    @property
    def policy(self) -> Policy:
        """What holds where nobody said otherwise."""
        return "enforce" if self.pinned else "warn"

    def get(self, keyid: str) -> TrustedKey | None:
        return next((key for key in self.keys if key.keyid == keyid), None)

    def add(self, public: bytes) -> Trust:
        """Pin a key; pinning it again changes nothing. Raises: ConflictError for a revoked one."""
        keyid = keyid_of(public)
        held = self.get(keyid)
        if held is not None and held.revoked_at:
            raise ConflictError(
                f"key {keyid} was revoked at {held.revoked_at}: {held.reason or 'no reason given'}",
                hint="make a new key; a revoked one does not come back",
            )
        return self if held else Trust((*self.keys, TrustedKey(keyid, base64.b64encode(public).decode(), _now())))

    def revoke(self, keyid: str, reason: str) -> Trust:
        """Raises: NotFoundError."""
        held = self.get(keyid)
        if held is None:
            known = ", ".join(key.keyid for key in self.keys) or "none"
            raise NotFoundError(f"there is no key {keyid!r}; keys: {known}", hint="see `cva keys list`")
        if held.revoked_at:
            return self
        gone = replace(held, revoked_at=_now(), reason=reason)
        return Trust(tuple(gone if key is held else key for key in self.keys))

    def write(self, path: Path) -> None:
        write_json(path, {"schema": SCHEMA, "keys": [asdict(key) for key in self.keys]})


def find_trust(given: Path | None, dest: Path | None = None) -> Trust:
    """`given`, else CVA_TRUSTED_KEYS, else `dest`/trusted_keys.json where there is one.

    Raises: NotFoundError where a file that was named is not there (it must not turn into trusting nobody).
    """
    named = given or (Path(os.environ[TRUSTED_KEYS]) if os.environ.get(TRUSTED_KEYS) else None)
    if named is not None and not named.is_file():
        raise NotFoundError(f"there is no file of trusted keys {named}", hint="`cva keys trust FILE.pub` makes one")
    if named is None and dest is not None and ((dest / FILE).is_file() or (dest / FILE).is_symlink()):
        named = dest / FILE
    return read_trust(named) if named is not None else Trust()


def read_trust(path: Path) -> Trust:
    """Nothing pinned where the file is missing. Raises: IntegrityError for a file that is not as it was written."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Trust()
    except (ValueError, RecursionError) as error:
        raise _broken(path, "it is not JSON") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA or not isinstance(value.get("keys"), list):
        raise _broken(path, f"expected schema {SCHEMA} and a list of keys")
    keys = tuple(_key(path, item) for item in value["keys"])
    if len({key.keyid for key in keys}) != len(keys):
        raise _broken(path, "a key stands twice")
    return Trust(keys)


def check_signature(release: bytes, signatures: bytes, trust: Trust) -> str:
    """The keyid of the trusted key that signed exactly these bytes.

    Raises: IntegrityError: no trusted signature, or a trusted key's that is wrong (then the file was changed).
    """
    good, doubts = "", []
    for signature in parse_signatures(signatures):
        key = trust.get(signature.keyid)
        if key is None:
            doubts.append(f"{signature.keyid} is not trusted here")
        elif key.revoked_at:
            doubts.append(f"{signature.keyid} was revoked at {key.revoked_at}")
        elif is_signed_by(base64.b64decode(key.public), release, signature):
            good = good or signature.keyid
        else:
            raise IntegrityError(
                f"the signature of key {signature.keyid} does not fit {RELEASE}",
                hint="do not use this version; it was changed after it was signed",
            )
    if not good:
        raise IntegrityError(f"no trusted key signed this release: {'; '.join(doubts)}", hint="see `cva keys list`")
    return good


def verify_release(folder: Path, trust: Trust, *, name: str = "", version: int | None = None) -> Release:
    """The signed release of a bundle's folder, for whoever loads it: `load_bundle(folder, manifest_sha256=...)`
    with its `manifest_sha256` then holds every file to what was signed.

    Raises: IntegrityError: unsigned, not signed by a trusted key, of another manifest, name or version.
    """
    release_bytes = _read(folder / RELEASE, MAX_BYTES)
    check_signature(release_bytes, _read(folder / SIGNATURES, MAX_BYTES), trust)
    release = parse_release(release_bytes)
    digest = hashlib.sha256(_read(folder / MANIFEST, MAX_MANIFEST_BYTES)).hexdigest()
    check_release(release, name or release.name, release.version if version is None else version, digest)
    return release


def pinned_release(folder: Path, given: Path | None = None) -> str:
    """The manifest's hash that a key signed which is pinned for this exact folder; "" where none is.

    Pinned are the keys of `given`, else of CVA_TRUSTED_KEYS, else of the store that the folder is a version of. Who can
    change a folder can write a manifest that fits; no one but a key's owner can sign it.

    Raises: NotFoundError, IntegrityError.
    """
    store = folder.parents[2] if folder.parent.name == "versions" else None
    trust = find_trust(given, store)
    if given is None and not trust.pinned:
        return ""
    return verify_release(folder, trust).manifest_sha256


def check_release(release: Release, name: str, version: int, manifest_sha256: str) -> None:
    """Raises: IntegrityError where it is the release of something else."""
    pairs = {
        "name": (name, release.name),
        "version": (version, release.version),
        "manifest's sha256": (manifest_sha256, release.manifest_sha256),
    }
    wrong = [f"{what}: expected {left}, found {right}" for what, (left, right) in pairs.items() if left != right]
    if wrong:
        raise IntegrityError(
            f"{RELEASE} is of something else: {'; '.join(wrong)}",
            hint="do not use this version; publish it again",
        )


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise IntegrityError(
            f"{path.parent} holds no {path.name}: it is not signed", hint="publish it with a signing key, pull it again"
        ) from error
    if len(data) > limit:
        raise IntegrityError(f"expected {path} to have at most {limit} bytes", hint="pull the version again")
    return data


def _key(path: Path, item: object) -> TrustedKey:
    fields: dict[str, Any] = item if isinstance(item, dict) else {}
    kinds = {"keyid": str, "public": str, "added_at": str, "revoked_at": str | None, "reason": str}
    if set(fields) != set(kinds) or not all(isinstance(fields[key], kind) for key, kind in kinds.items()):
        raise _broken(path, f"expected keys of {', '.join(kinds)}")
    key = TrustedKey(**fields)
    try:
        public = base64.b64decode(key.public, validate=True)
    except ValueError as error:  # no ASCII, or no base64
        raise _broken(path, f"the public key of {key.keyid} is not base64") from error
    if len(public) != 32 or keyid_of(public) != key.keyid:
        raise _broken(path, f"{key.keyid} is not the keyid of its public key")
    return key


def _broken(path: Path, why: str) -> IntegrityError:
    return IntegrityError(f"the trusted keys in {path} are broken: {why}", hint="pin the keys again: `cva keys trust`")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
