"""Azure's types out of a program: a small one, made here as ECMA-335 has it. And where they are looked for."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest

from tests.fake_azure import published_types as published

STORAGE = "microsoft.storage"
START, SECTION = 0x400, 0x2000  # of the section: in the file, and in memory


def types(name: str) -> bytes:
    return json.dumps([{"$type": "StringType"}, {"$type": "ResourceType", "name": name}], indent=2).encode()


def program(*texts: bytes) -> bytes:
    """An assembly with these resources, compressed, among others in one file."""
    packed = [zlib.compress(text)[2:-4] for text in texts]  # without zlib's head and sum
    held = b"".join(struct.pack("<I", len(each)) + each for each in packed)
    runtime = struct.pack("<6I", 72, 0, 0, 0, 0, 0) + struct.pack("<2I", SECTION + 72, len(held))
    content = runtime.ljust(72, b"\0") + held
    header = b"PE\0\0" + struct.pack("<2H3I2H", 0x14C, 1, 0, 0, 0, 224, 0)
    optional = bytearray(224)
    optional[:2] = b"\x0b\x01"
    struct.pack_into("<2I", optional, 96 + 14 * 8, SECTION, 72)
    section = b".text\0\0\0" + struct.pack("<4I", len(content), SECTION, len(content), START) + bytes(16)
    dos = b"MZ\x90\0".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
    assembly = (dos.ljust(0x80, b"\0") + header + optional + section).ljust(START, b"\0") + content + published.MARK
    other = b"MZ\x90\0".ljust(0x100, b"\0")
    return b"\x7fELF" + other + assembly + other


OLD, NEW = types("Microsoft.Storage/storageAccounts@2024-01-01"), types("Microsoft.Storage/storageAccounts@2025-01-01")
PREVIEW = types("Microsoft.Storage/storageAccounts@2025-05-01-preview")
HELD = program(b"{}", OLD, NEW, PREVIEW, types("Microsoft.Web/sites@2024-11-01"))


def test_the_resources_are_those_of_the_assembly_that_holds_types() -> None:
    assert [zlib.decompress(each, -15) for each in published.resources(HELD)][:3] == [b"{}", OLD, NEW]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("2024-01-01", OLD),  # its own
        ("2024-06-01", OLD),
        ("2025-06-01", NEW),  # no preview stands in
        ("2023-01-01", None),
    ],
)
def test_the_newest_before_it_stands_in_for_a_version(asked: str, found: bytes | None) -> None:
    wanted = frozenset({(STORAGE, asked), ("microsoft.devices", asked)})
    assert published.chosen(HELD, wanted) == ({(STORAGE, asked): found} if found else {})


def test_they_are_fetched_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetched: list[int] = []
    monkeypatch.setattr(published, "_program", lambda: fetched.append(1) or HELD)
    monkeypatch.setattr(published, "KEPT", tmp_path)
    monkeypatch.setenv(published.VARIABLE, published.NPM)
    first = published.folder()
    assert published.folder() == first and len(fetched) == 1 and published.stands_in()
    version = next(version for provider, version in published.used() if provider == STORAGE)
    assert (first / f"{STORAGE}@{version}.json").read_bytes() == NEW


def test_all_that_is_deployed_is_asked_for() -> None:
    used = {provider for provider, _ in published.used()}
    assert {STORAGE, "microsoft.machinelearningservices", "microsoft.web", "microsoft.devices"} <= used
