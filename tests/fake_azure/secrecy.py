"""Every secret that the fake has given out, and the places where none of them may ever be seen.

Tokens, signatures of addresses, account keys, the secrets of the managed identity and of the pipeline. Places: what
processes said, the argument lists of all of them, their folders, what the workspace keeps, what lies in its storage.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

RECORDER = Path(__file__).parent / "recorder"
# Where the SDKs themselves keep what a login gave them, in a folder that is a person's own.
TOKEN_CACHES = ("msal_token_cache.json", "msal_token_cache.bin", "service_principal_entries.json")


class Secrets:
    """Those of a whole session: some processes outlive a test. Each is kept with the words that name it."""

    def __init__(self) -> None:
        self._named: dict[bytes, str] = {}

    def add(self, secret: str, name: str) -> None:
        """As it is, and as it stands in an address."""
        for form in {secret, quote(secret), quote(secret, safe="")}:
            self._named[form.encode()] = name

    def add_token(self, token: str) -> None:
        """Its signature: what comes before it says who, and may be shown."""
        self.add(token.rpartition(".")[2], "a token")

    def seen_in(self, text: str | bytes) -> list[str]:
        """The names of those that occur."""
        data = text.encode() if isinstance(text, str) else text
        return sorted({name for secret, name in self._named.items() if secret in data})


class Arguments:
    """The argument lists of every Python process of a test, and of all that those started (recorder/)."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.clear()

    def clear(self) -> None:
        self.file.write_bytes(b"")

    def environment(self, path: str = "") -> dict[str, str]:
        """What makes a Python process write its own down; `path` is the PYTHONPATH that it has otherwise."""
        paths = [str(RECORDER), *(each for each in path.split(os.pathsep) if each)]
        return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "CVA_TEST_ARGUMENTS": str(self.file)}

    def __iter__(self) -> Iterator[list[str]]:
        return (json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines())


def check_records(azure: FakeAzure) -> None:
    """No secret in an argument list, in the log of requests, nor in what the workspace keeps of runs, models, …"""
    for words in azure.arguments:
        _assert_none(azure, " ".join(words), f"the arguments of {' '.join(words)[:200]}")
    _assert_none(azure, repr([vars(call) for call in azure.requests]), "the log of requests")
    _assert_none(azure, repr(azure.state), "what the workspace keeps")


def check_everything(azure: FakeAzure, said: Iterable[str], *folders: Path) -> None:
    """That, and what processes said, every file they left, and every blob."""
    check_records(azure)
    for text in said:
        _assert_none(azure, text, f"what a process said: {text[:2000]}")
    for file in (each for folder in folders for each in sorted(folder.rglob("*"))):
        if file.is_file() and file.name not in TOKEN_CACHES:
            _assert_none(azure, file.read_bytes(), f"the file {file}")
    for name, data in azure.blobs.everything():
        _assert_none(azure, data, f"the blob {name}")


def _assert_none(azure: FakeAzure, text: str | bytes, where: str) -> None:
    seen = azure.secrets.seen_in(text)
    assert not seen, f"{', '.join(seen)} in {where}"
