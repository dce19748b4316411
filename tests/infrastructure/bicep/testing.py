"""For tests of the check: the definitions or a skip, and a copy of what is checked with one edit in it."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

import pytest

from tests.infrastructure.bicep.azure_types import VARIABLE, Library, types_folder
from tests.infrastructure.bicep.check import FOLDER, SETTINGS, check
from tests.infrastructure.bicep.finding import Finding

PROJECT = Path(__file__).parents[3]
SAMPLE = Path(__file__).parent / "sample"


@lru_cache(maxsize=1)
def _library(folder: Path) -> Library:
    return Library(folder)


def library() -> Library:
    """Azure's published types; the test is skipped where there are none."""
    folder = types_folder(PROJECT)
    if not any(folder.glob("*@*.json")):
        pytest.skip(f"Azure's published resource types are not at {folder} (set {VARIABLE})")
    return _library(folder)


def copy(source: Path, target: Path) -> None:
    """What the check reads of a tree."""
    shutil.copytree(source / FOLDER, target / FOLDER, ignore=shutil.ignore_patterns("*.sh", "*.md"))
    shutil.copy(source / SETTINGS, target)


def findings_after(root: Path, file: str, find: str, replace: str) -> list[Finding]:
    """What is found when `find`, which occurs once in the file, is `replace`; the file is put back."""
    path = root / file
    text = path.read_text(encoding="utf-8")
    assert text.count(find) == 1, f"{find!r} occurs {text.count(find)} times in {file}"
    path.write_text(text.replace(find, replace), encoding="utf-8")
    try:
        return check(root, library())
    finally:
        path.write_text(text, encoding="utf-8")
