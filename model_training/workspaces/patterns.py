"""Which paths a pattern means, the same on a folder and in a container. Opens nothing."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(path: str, pattern: str) -> bool:
    """Part by part: `*` and `?` stay within one name, `**` takes any number of folders."""
    return _parts_match(path.split("/"), pattern.split("/"))


def literal_folder(pattern: str) -> str:
    """The folder that every match lies in, with its slash: the part before the first name with a wildcard."""
    parts = pattern.split("/")[:-1]
    plain = next((i for i, part in enumerate(parts) if any(sign in part for sign in "*?[")), len(parts))
    return "".join(f"{part}/" for part in parts[:plain])


def _parts_match(path: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_parts_match(path[i:], pattern[1:]) for i in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _parts_match(path[1:], pattern[1:])
