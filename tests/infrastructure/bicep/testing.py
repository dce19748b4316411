"""For tests of the check: the definitions, and a copy of what is checked with one edit in it."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

from tests.fake_azure import published_types
from tests.infrastructure.bicep.azure_types import Library
from tests.infrastructure.bicep.check import FOLDER, SETTINGS
from tests.infrastructure.bicep.check import check as check_all
from tests.infrastructure.bicep.finding import Finding

PROJECT = Path(__file__).parents[3]
SAMPLE = Path(__file__).parent / "sample"
# What is newer than the definitions of npm's package, and the one provider that it lacks.
NEWER = (
    (
        "infrastructure/modules/iot-hub.bicep",
        "no definitions of the provider 'microsoft.devices', but of microsoft.web",
    ),
    ("infrastructure/modules/registry.bicep", "properties has no property 'roleAssignmentMode'"),
)


@lru_cache(maxsize=1)
def _library(folder: Path) -> Library:
    return Library(folder)


def library() -> Library:
    """Azure's published types."""
    return _library(published_types.folder())


def check(root: Path) -> list[Finding]:
    """All that is found, but for what definitions that only stand in cannot know."""
    found = check_all(root, library())
    known = NEWER if published_types.stands_in() else ()
    return [each for each in found if (each.place.path, each.message) not in known]


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
        return check(root)
    finally:
        path.write_text(text, encoding="utf-8")
