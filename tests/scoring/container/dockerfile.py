"""The Dockerfile as instructions, and what it copies from the repository. Knows no builder."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = ROOT / "scoring" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    word: str
    rest: str
    stage: int

    @property
    def exec_form(self) -> list[str]:
        """The JSON array of CMD, ENTRYPOINT or `HEALTHCHECK ... CMD`; raises ValueError for the shell form."""
        value: Any = json.loads(self.rest[self.rest.index("[") :])
        return [str(part) for part in value]


def read_dockerfile(path: Path = DOCKERFILE) -> list[Instruction]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found: list[Instruction] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, rest = line.split(maxsplit=1)
        stage = sum(each.word == "FROM" for each in found) - (word != "FROM")
        found.append(Instruction(word, " ".join(rest.split()), stage))
    return found


def copied(path: Path = DOCKERFILE) -> list[str]:
    """The sources of every COPY from the context."""
    rows = [each.rest.split() for each in read_dockerfile(path) if each.word == "COPY"]
    return [source for row in rows if not row[0].startswith("--from") for source in row[:-1]]


def copy_context(target: Path) -> Path:
    """What the builder is given, without what .dockerignore leaves out."""
    for name in copied():
        source, place = ROOT / name, target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__", ".*", "*.egg-info"))
        else:
            shutil.copyfile(source, place)
    return target
