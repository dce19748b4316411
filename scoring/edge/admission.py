"""May this version come in: its release and signatures as the registry has them, held against the pinned keys.

    off      does not look
    warn     says what is wrong and goes on, except where release.json is of another name, version or manifest
    enforce  anything but a trusted key's signature over exactly this release is refused

Knows nothing about files on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scoring.edge.registry import Registry, Resolved, read_up_to
from scoring.edge.signing import MAX_BYTES, RELEASE, SIGNATURES, parse_release
from scoring.edge.trust import Policy, Trust, check_release, check_signature, find_trust
from scoring.errors import IntegrityError, NotFoundError, OfflineError


@dataclass(frozen=True)
class Signing:
    """What a device asks of signatures."""

    policy: Policy
    trust: Trust = field(default_factory=Trust)

    @staticmethod
    def of(dest: Path, policy: Policy | None = None, trusted_keys: Path | None = None) -> Signing:
        """Without a policy: enforce where keys are pinned, else warn. Raises: NotFoundError, IntegrityError."""
        trust = find_trust(trusted_keys, dest)
        return Signing(policy or trust.policy, trust)


@dataclass(frozen=True)
class Admitted:
    """`files` are the release's files to keep beside the manifest; `keyid` is the trusted key that signed, or ""."""

    policy: Policy
    keyid: str = ""
    problem: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"policy": self.policy, "keyid": self.keyid or None, "problem": self.problem or None}


def admit(registry: Registry, target: Resolved, signing: Signing) -> Admitted:
    """Raises: IntegrityError where the policy refuses it; OfflineError."""
    if signing.policy == "off":
        return Admitted("off")
    files = {name: data for name in (RELEASE, SIGNATURES) if (data := _read(registry, target, name)) is not None}
    try:
        keyid = _verdict(files, target, signing.trust)
    except _Contradiction:
        raise
    except IntegrityError as error:
        if signing.policy == "enforce":
            raise IntegrityError(
                f"{target.name}:{target.version}: {error.message}",
                hint="the version in use stays; publish it signed by a key that this device trusts",
            ) from error
        return Admitted("warn", problem=error.message, files=_readable(files))
    return Admitted(signing.policy, keyid, files=files)


class _Contradiction(IntegrityError):
    """release.json is of something else: refused by every policy that looks."""


def _verdict(files: Mapping[str, bytes], target: Resolved, trust: Trust) -> str:
    if RELEASE not in files:
        raise IntegrityError(f"it is not signed: there is no {RELEASE}")
    release = parse_release(files[RELEASE])
    try:
        check_release(release, target.name, target.version, target.manifest_sha256)
    except IntegrityError as error:
        raise _Contradiction(f"{target.name}:{target.version}: {error.message}", hint=error.hint) from error
    if SIGNATURES not in files:
        raise IntegrityError(f"it is not signed: there is no {SIGNATURES}")
    return check_signature(files[RELEASE], files[SIGNATURES], trust)


def _readable(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Nothing where release.json is none: a bundle beside which such a file lies is never loaded."""
    try:
        parse_release(files.get(RELEASE, b""))
    except IntegrityError:
        return {}
    return files


def _read(registry: Registry, target: Resolved, name: str) -> bytes | None:
    """None where there is none; one byte more than allowed, so that the reader sees that it is too long."""
    try:
        with registry.fetch(target.name, target.version, name) as file:
            return read_up_to(file, MAX_BYTES)
    except NotFoundError:
        return None
    except OSError as error:
        raise OfflineError(f"the registry stopped while sending {name}: {error}") from error
