"""`cva keys …`: make signing keys, pin them on a device, revoke them. Parses and prints; never shows a private key."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from scoring.errors import ConflictError, UsageError


class Printer(Protocol):
    def say(self, text: str = "") -> None: ...


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="cva keys",
        description="Keys that sign releases (publish-static) and the keys that a device trusts (pull).",
    )
    verbs = top.add_subparsers(metavar="VERB")
    new = verbs.add_parser("new", help="a new pair: NAME.key (mode 0600) and NAME.pub")
    new.add_argument("--out", type=Path, required=True, metavar="DIR")
    new.add_argument("--name", default="release", help="of the two files (default release)")
    new.set_defaults(run=new_key)
    show = verbs.add_parser("show", help="the keyid of a public key")
    show.add_argument("public", type=Path, metavar="FILE.pub")
    show.set_defaults(run=show_key)
    trust = verbs.add_parser("trust", help="pin a public key on this device")
    trust.add_argument("public", type=Path, metavar="FILE.pub")
    trust.set_defaults(run=trust_key)
    revoke = verbs.add_parser("revoke", help="a key's signatures count for nothing from now on, old ones included")
    revoke.add_argument("keyid")
    revoke.add_argument("--reason", default="")
    revoke.set_defaults(run=revoke_key)
    listing = verbs.add_parser("list", help="the pinned keys, revoked ones too")
    listing.set_defaults(run=list_keys)
    for verb in (trust, revoke, listing):
        verb.add_argument("--keys", type=Path, metavar="TRUST.json", help="default: CVA_TRUSTED_KEYS")
    return top


def new_key(args: argparse.Namespace, out: Printer) -> dict[str, Any]:
    """Both files are new or nothing is written. A passphrase comes from CVA_SIGNING_KEY_PASSPHRASE."""
    from scoring.edge.registry import check_model_name
    from scoring.edge.signing import KEY_FILE, PASSPHRASE, keyid_of, new_key_pair, read_public_key

    name = check_model_name(args.name)
    secret_file, public_file = args.out / f"{name}.key", args.out / f"{name}.pub"
    args.out.mkdir(parents=True, exist_ok=True)
    passphrase = os.environ.get(PASSPHRASE, "").encode() or None
    secret, public = new_key_pair(passphrase)
    _write_new(secret_file, secret, 0o600)
    try:
        _write_new(public_file, public, 0o644)
    except BaseException:
        secret_file.unlink()
        raise
    keyid = keyid_of(read_public_key(public_file))
    out.say(
        f"{secret_file}  the private key{' (behind the passphrase)' if passphrase else ''}: for the publisher alone"
    )
    out.say(f"{public_file}  the public key: pin it on devices with `cva keys trust {public_file} --keys TRUST.json`")
    out.say(f"keyid {keyid}; sign with {KEY_FILE}={secret_file}")
    return {"keyid": keyid, "paths": {"private": str(secret_file), "public": str(public_file)}}


def show_key(args: argparse.Namespace, out: Printer) -> dict[str, Any]:
    from scoring.edge.signing import ALGORITHM, keyid_of, read_public_key

    keyid = keyid_of(read_public_key(args.public))
    out.say(f"{keyid}  {ALGORITHM}  {args.public}")
    return {"keyid": keyid, "algorithm": ALGORITHM}


def trust_key(args: argparse.Namespace, out: Printer) -> dict[str, Any]:
    from scoring.edge.signing import keyid_of, read_public_key
    from scoring.edge.trust import read_trust

    path, public = _trust_file(args), read_public_key(args.public)
    before = read_trust(path)
    after = before.add(public)
    if after != before:
        path.parent.mkdir(parents=True, exist_ok=True)
        after.write(path)
    out.say(f"{keyid_of(public)} is trusted by {path}" + ("" if after != before else " (it was already)"))
    return {"keyid": keyid_of(public), "added": after != before, "paths": {"keys": str(path)}}


def revoke_key(args: argparse.Namespace, out: Printer) -> dict[str, Any]:
    from scoring.edge.trust import read_trust

    path = _trust_file(args)
    before = read_trust(path)
    after = before.revoke(args.keyid, args.reason)
    if after != before:
        after.write(path)
    held = after.get(args.keyid)
    out.say(f"{args.keyid} is revoked in {path} since {held.revoked_at if held else '?'}")
    return {"keyid": args.keyid, "revoked": after != before, "paths": {"keys": str(path)}}


def list_keys(args: argparse.Namespace, out: Printer) -> list[dict[str, Any]]:
    from scoring.edge.trust import read_trust

    path = _trust_file(args)
    keys = read_trust(path).keys
    for key in keys:
        state = f"revoked {key.revoked_at} {key.reason}".rstrip() if key.revoked_at else "trusted"
        out.say(f"{key.keyid}  added {key.added_at}  {state}")
    if not keys:
        out.say(f"no key is pinned in {path}")
    return [asdict(key) for key in keys]


def _trust_file(args: argparse.Namespace) -> Path:
    from scoring.edge.trust import TRUSTED_KEYS

    given = args.keys or (Path(os.environ[TRUSTED_KEYS]) if os.environ.get(TRUSTED_KEYS) else None)
    if given is None:
        raise UsageError("expected a file of trusted keys, found none", hint=f"--keys FILE, or set {TRUSTED_KEYS}")
    return Path(given)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Never over a file that is there; a private key never has a wider mode, not for a moment."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise ConflictError(
            f"{path} is there already", hint="give another --name; keys are never overwritten"
        ) from error
    with open(handle, "wb") as file:  # noqa: PTH123 (a handle)
        file.write(data)
        file.flush()
        os.fsync(handle)
