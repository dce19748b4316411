"""Ed25519 signatures over a release: which manifest is version 7 of a name. Bytes in, bytes or a verdict out.

`release.json` binds name, version and the manifest's hash, and the manifest binds every file; `release.sig` holds one
signature a key, so that an old and a new key can sign side by side. Knows nothing about which keys a device trusts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.errors import IntegrityError, NotFoundError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RELEASE, SIGNATURES = "release.json", "release.sig"
SCHEMA = 1
ALGORITHM = "ed25519"
CONTEXT = b"cva release 1\n"  # a signature made for anything else is none here
MAX_BYTES = 1 << 16  # of either file
MAX_SIGNATURES = 16
KEY_FILE, PASSPHRASE = "CVA_SIGNING_KEY_FILE", "CVA_SIGNING_KEY_PASSPHRASE"
KEYID_LENGTH = 32
_KEYID = re.compile(rf"[0-9a-f]{{{KEYID_LENGTH}}}")


@dataclass(frozen=True)
class Release:
    """What is signed: this version of this name is the bundle whose manifest has this hash."""

    name: str
    version: int
    manifest_sha256: str
    released_at: str  # UTC, ISO 8601

    def to_bytes(self) -> bytes:
        return _canonical(asdict(self))


@dataclass(frozen=True)
class Signature:
    keyid: str
    value: bytes


@dataclass(frozen=True)
class Signer:
    """A private key that is ready to sign."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def keyid(self) -> str:
        return keyid_of(self.public)

    def sign(self, release: bytes) -> Signature:
        return Signature(self.keyid, self.private.sign(CONTEXT + release))


def parse_release(data: bytes) -> Release:
    """Only the bytes that `to_bytes` writes are a release. Raises: IntegrityError."""
    value = _object(data, RELEASE)
    kinds = {"name": str, "version": int, "manifest_sha256": str, "released_at": str}
    if set(value) != set(kinds) or any(type(value[key]) is not kind for key, kind in kinds.items()):
        raise _broken(RELEASE, f"expected {', '.join(kinds)} and nothing else")
    release = Release(**value)
    if release.to_bytes() != data:
        raise _broken(RELEASE, "its bytes are not as they were written")
    return release


def parse_signatures(data: bytes) -> tuple[Signature, ...]:
    """Only the bytes that `signature_bytes` writes are signatures. Raises: IntegrityError."""
    value = _object(data, SIGNATURES)
    items = value.get("signatures")
    if value.get("schema") != SCHEMA or not isinstance(items, list) or not 1 <= len(items) <= MAX_SIGNATURES:
        raise _broken(SIGNATURES, f"expected schema {SCHEMA} and 1 to {MAX_SIGNATURES} signatures")
    found = tuple(_signature(item) for item in items)
    if len({each.keyid for each in found}) != len(found) or signature_bytes(found) != data:
        raise _broken(SIGNATURES, "its bytes are not as they were written")
    return found


def signature_bytes(signatures: Sequence[Signature]) -> bytes:
    items = [
        {"keyid": each.keyid, "algorithm": ALGORITHM, "signature": base64.b64encode(each.value).decode()}
        for each in signatures
    ]
    return _canonical({"schema": SCHEMA, "signatures": items})


def is_signed_by(public: bytes, release: bytes, signature: Signature) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature.value, CONTEXT + release)
    except InvalidSignature:
        return False
    return True


def keyid_of(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:KEYID_LENGTH]


def new_key_pair(passphrase: bytes | None) -> tuple[bytes, bytes]:
    """A new private key (PKCS8 PEM, encrypted where there is a passphrase) and its public key (PEM)."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    lock = form.BestAvailableEncryption(passphrase) if passphrase else form.NoEncryption()
    secret = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock)
    public = private.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    return secret, public


def read_public_key(path: Path) -> bytes:
    """The 32 raw bytes of a public key's PEM file. Raises: NotFoundError, UsageError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no key file {path}", hint="`cva keys new --out DIR` makes a pair") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(path, "an Ed25519 public key (PEM)") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "an Ed25519 public key (PEM)")
    return key.public_bytes_raw()


def read_signer(path: Path, environ: Mapping[str, str] | None = None) -> Signer:
    """The private key in a file that only its owner may read. Raises: NotFoundError, UsageError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    secret = (os.environ if environ is None else environ).get(PASSPHRASE, "").encode() or None
    data = _read_private(path)
    try:
        key = load_pem_private_key(data, secret)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:  # its words may quote the key: they are not repeated
        what = "an Ed25519 private key (PKCS8 PEM)"
        raise _no_key(path, f"{what} that {PASSPHRASE} opens" if secret else f"{what} without a passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "an Ed25519 private key (PKCS8 PEM)")
    return Signer(key)


def find_signer(path: Path | None = None) -> Signer | None:
    """The key of `path`, else of CVA_SIGNING_KEY_FILE, else none."""
    named = path or (Path(os.environ[KEY_FILE]) if os.environ.get(KEY_FILE) else None)
    return None if named is None else read_signer(named)


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name != "nt" and stat.S_IMODE(mode) & 0o077:
                raise UsageError(
                    f"expected {path} to be readable by its owner alone (0600), found {stat.S_IMODE(mode):04o}",
                    hint=f"chmod 600 {path}; if others could read it, make a new key and revoke this one",
                )
            return file.read(MAX_BYTES)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no key file {path}", hint="`cva keys new --out DIR` makes a pair") from error


def _signature(item: object) -> Signature:
    if not isinstance(item, dict) or item.get("algorithm") != ALGORITHM:
        raise _broken(SIGNATURES, f"expected signatures of the algorithm {ALGORITHM}")
    keyid, text = item.get("keyid"), item.get("signature")
    if not isinstance(keyid, str) or not _KEYID.fullmatch(keyid) or not isinstance(text, str):
        raise _broken(SIGNATURES, "expected a keyid and a signature in each entry")
    try:
        return Signature(keyid, base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise _broken(SIGNATURES, "a signature is not base64") from error


def _canonical(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _object(data: bytes, what: str) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise _broken(what, f"expected at most {MAX_BYTES} bytes")
    try:
        value = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise _broken(what, "it is not JSON") from error
    if not isinstance(value, dict):
        raise _broken(what, "expected a JSON object")
    return value


def _broken(what: str, why: str) -> IntegrityError:
    return IntegrityError(f"{what} is broken: {why}", hint="publish the version again, or pull it again")


def _no_key(path: Path, expected: str) -> UsageError:
    return UsageError(f"expected {path} to hold {expected}", hint="`cva keys new --out DIR` makes a pair")
