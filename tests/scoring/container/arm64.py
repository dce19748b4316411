"""The wheels that the image installs on arm64, as pip found them: arm64_wheels.txt, and how to write it anew.

    python -m tests.scoring.container.arm64

asks pip, by its own index, for each pin of requirements/base.txt on the image's Python and C library; nothing is
installed or downloaded. The list makes the test a matter of this machine alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[3]
PINS = ROOT / "requirements" / "base.txt"
LIST = Path(__file__).with_name("arm64_wheels.txt")
PYTHON = (3, 12)  # of the Dockerfile's base
GLIBC = 36  # 2.36, of its Debian 12
PLATFORMS = [*(f"manylinux_2_{minor}_aarch64" for minor in range(GLIBC, 16, -1)), "manylinux2014_aarch64"]


def pins() -> dict[str, str]:
    lines = [line for line in PINS.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found = [Requirement(line.partition("#")[0]) for line in lines]
    return {canonicalize_name(each.name): next(iter(each.specifier)).version for each in found}


def taken() -> frozenset[Tag]:
    """What pip in the image takes."""
    interpreter = f"cp{PYTHON[0]}{PYTHON[1]}"
    return frozenset([*cpython_tags(PYTHON, platforms=PLATFORMS), *compatible_tags(PYTHON, interpreter, PLATFORMS)])


def listed() -> Iterator[tuple[str, str, bool]]:
    """Of each wheel of the list: its project, its version, and whether pip in the image takes it."""
    fits = taken()
    for line in LIST.read_text(encoding="utf-8").splitlines():
        name, version, _, tags = parse_wheel_filename(line)
        yield name, str(version), bool(tags & fits)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        where = [word for each in PLATFORMS for word in ("--platform", each)]
        version = [f"--python-version={PYTHON[0]}.{PYTHON[1]}", "--implementation=cp", "--only-binary=:all:", *where]
        quiet = ["--dry-run", "--quiet", "--ignore-installed", "--no-deps", f"--target={folder}", f"--report={report}"]
        subprocess.run([sys.executable, "-m", "pip", "install", *quiet, *version, "-r", str(PINS)], check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    names = sorted(unquote(urlsplit(each["download_info"]["url"]).path.rpartition("/")[2]) for each in found)
    LIST.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


if __name__ == "__main__":
    main()
