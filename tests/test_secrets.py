"""No secret, key or token in the repository: every file that git tracks is searched for the shapes that they have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {
    "account key": re.compile(r"AccountKey\s*=\s*[A-Za-z0-9+/]{20,}={0,2}"),
    "shared access signature": re.compile(r"SharedAccess(?:Signature|Key)\s*=\s*\S{12,}"),
    "signature of an address": re.compile(r"[?&]sig=[A-Za-z0-9%+/]{20,}"),
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/]{20,}"),
    "token": re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    "value of a key": re.compile(
        r"(?i)(?<![a-z])(?:api_?key|access_?key|account_?key|client_?secret|password|secret_?key)"
        r"[\"']?\s*[:=]\s*[\"']?(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{32,}={0,2}"
    ),
    "connection string": re.compile(r"DefaultEndpointsProtocol=https?;AccountName=[^;\s]+;AccountKey=[A-Za-z0-9+/]{8}"),
}
ALLOWED: dict[str, str] = {}  # file -> why a secret's shape may stand there; nothing so far
SEEDED = {
    "account key": "AccountKey=" + "aB3/" * 21 + "==",
    "shared access signature": "SharedAccessSignature=" + "sv2024sig" * 3,
    "signature of an address": "https://a.blob.core.windows.net/c/b?sv=2024-11-04&sig=" + "aB3%2F" * 8,
    "private key": "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0B" * 2,
    "token": ".".join(["eyJ" + "hbGciOiJS", "eyJ" + "zdWIiOiIx", "c2lnbmF0dXJl"]),
    "value of a key": 'client_secret: "' + "q8Z7" * 10 + '"',
    "connection string": "DefaultEndpointsProtocol=https;AccountName=a;" + "AccountKey=" + "aB3/" * 21,
}


def found_in(text: str) -> list[str]:
    return [name for name, shape in SHAPES.items() if shape.search(text)]


def tracked() -> list[str]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True)
    return [path for path in done.stdout.decode().split("\0") if path and (ROOT / path).is_file()]


def test_no_file_that_git_tracks_holds_a_secret() -> None:
    files = tracked()
    assert len(files) > 300, "this is no checkout of the project"
    wrong = {
        path: found for path in files if (found := found_in((ROOT / path).read_bytes().decode("utf-8", "replace")))
    }
    assert wrong.keys() == ALLOWED.keys(), wrong


@pytest.mark.parametrize("kind", SHAPES)
def test_each_shape_is_found_where_it_is(kind: str) -> None:
    assert kind in found_in(f"before\n{SEEDED[kind]}\nafter")


@pytest.mark.parametrize(
    "text",
    [
        "AccountKey=<key of the account>",
        "password: $(ADMIN_PASSWORD)",
        "https://a.blob.core.windows.net/c?sig=<hidden>",
        "Authorization: Bearer $TOKEN",
        "secret_key = load_key(path)",
    ],
)
def test_a_placeholder_is_no_secret(text: str) -> None:
    assert found_in(text) == []
