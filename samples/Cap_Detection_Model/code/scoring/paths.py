"""Which files a bundle may have, by name, size and kind: the same on Linux, macOS and Windows. Touches no disk."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from scoring.errors import IntegrityError

MIB = 1 << 20
MAX_FILES = 1500  # what an Azure ML model version may hold
MAX_FILE_BYTES = 2048 * MIB
MAX_TOTAL_BYTES = 4096 * MIB
MAX_PATH = 240

PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill")  # loading one runs what it says
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\\ud800-\udfff]')


def check_path(path: str) -> None:
    """Refuse what could leave the folder or cannot exist on some system. Raises: IntegrityError."""
    reason = _unsafe(path)
    if reason:
        raise IntegrityError(
            f"unsafe path in a bundle: {path!r} ({reason})", hint="do not use this bundle; ask where it came from"
        )


def check_paths(files: Iterable[tuple[str, int]]) -> None:
    """Every path safe, none twice (also not by case), no file used as a folder, sizes within the caps.

    Raises: IntegrityError.
    """
    seen: dict[str, str] = {}
    total = 0
    for path, size in files:
        check_path(path)
        folded = _fold(path)
        if folded in seen:
            raise IntegrityError(f"two files of a bundle have one name: {seen[folded]!r} and {path!r}")
        seen[folded] = path
        total += size
        if size > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES or len(seen) > MAX_FILES:
            raise IntegrityError(
                f"the bundle is too large at {path!r}: at most {MAX_FILES} files, {MAX_FILE_BYTES // MIB} MiB a file,"
                f" {MAX_TOTAL_BYTES // MIB} MiB together"
            )
    for path in seen.values():
        for parent in PurePosixPath(path).parents:
            if _fold(str(parent)) in seen:
                raise IntegrityError(f"{str(parent)!r} is both a file and a folder of the bundle")


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _unsafe(path: str) -> str:
    size = len(path.encode("utf-8", "replace"))  # a part of a path has room for 255 bytes, not characters
    if not 0 < size <= MAX_PATH:
        return f"expected 1 to {MAX_PATH} characters, as bytes of UTF-8"
    if _FORBIDDEN.search(path):
        return "a character that not every system allows"
    if path.startswith("/"):
        return "absolute"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "empty, '.' or '..' part"
        if _RESERVED.fullmatch(part):
            return "a name that Windows reserves"
        if part != part.rstrip(". "):
            return "ends in a dot or a blank"
    if path.lower().endswith(PICKLES):
        return "a pickle, which a bundle may not hold"
    return ""


def is_pickle(head: bytes, tail: bytes) -> bool:
    """By its first nine bytes and its last: a pickle of protocol 2 or later, or an archive, as torch writes them.

    A safetensors file begins with a length of eight bytes and a brace, and the length may look like a pickle's mark.
    """
    archive = head[:4] == b"PK\x03\x04"
    marked = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and tail == b"."
    return archive or (marked and head[4:9] != b"\x00\x00\x00\x00{")
