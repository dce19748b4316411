"""The files that git knows, as texts in memory, so that one of them can be replaced by a wrong one."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

READ = (".pipelines/", "infrastructure/", "model_training/", "Makefile", "variable_template.yml")
SUFFIXES = {".yml", ".sh", ".py", ".bicep", ".json", ""}


@dataclass(frozen=True)
class Tree:
    """`texts` of the files that rules read; the names of all, and which of them can be started."""

    texts: dict[str, str]
    names: frozenset[str]
    executables: frozenset[str]

    @classmethod
    def of(cls, root: Path) -> Tree:
        """What is tracked below `root`, and what is new there and not ignored."""
        listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = frozenset(name for name in listed.split("\0") if name and (root / name).is_file())
        read = sorted(name for name in names if name.startswith(READ) and Path(name).suffix in SUFFIXES)
        texts = {name: (root / name).read_text(encoding="utf-8") for name in read}
        return cls(texts, names, frozenset(name for name in read if (root / name).stat().st_mode & 0o100))

    def with_text(self, name: str, text: str) -> Tree:
        return replace(self, texts={**self.texts, name: text})

    @cached_property
    def pipelines(self) -> list[str]:
        return [name for name in self.texts if re.fullmatch(r"\.pipelines/[^/]+\.yml", name)]

    @cached_property
    def templates(self) -> list[str]:
        return [name for name in self.texts if re.fullmatch(r"\.pipelines/templates/.+\.yml", name)]

    @property
    def folders(self) -> frozenset[str]:
        return _folders(self.names)


@cache
def _folders(names: frozenset[str]) -> frozenset[str]:
    return frozenset(str(folder) for name in names for folder in Path(name).parents)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout
