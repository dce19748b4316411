"""What a reference to a dataset says: `name`, `name:3`, `name@latest`, each also after `azureml:`. Opens nothing."""

from __future__ import annotations

from dataclasses import dataclass

from model_training.workspaces.names import check_name
from scoring.errors import UsageError

SUFFIXES = {"-train": "train", "-val": "validation", "-validation": "validation", "-test": "test"}


@dataclass(frozen=True)
class Reference:
    name: str
    version: int | None = None  # None: the latest

    def part(self) -> tuple[Reference, str] | None:
        """The dataset and the part that a derived name such as `caps-train` stands for, or None."""
        for suffix, part in SUFFIXES.items():
            if self.name.endswith(suffix) and len(self.name) > len(suffix):
                return Reference(self.name.removesuffix(suffix), self.version), part
        return None


def parse(text: str) -> Reference:
    """Raises: UsageError for what is no reference."""
    plain = text.removeprefix("azureml:")
    name, at, label = plain.partition("@")
    if at and label != "latest":
        raise UsageError(f"{text!r}: expected NAME@latest, found @{label}", hint="give NAME, NAME:3 or NAME@latest")
    name, colon, version = name.partition(":")
    if (colon and at) or (colon and not (version.isascii() and version.isdigit() and int(version) > 0)):
        raise UsageError(f"{text!r}: expected a version number after ':'", hint="give NAME, NAME:3 or NAME@latest")
    return Reference(check_name(name, "dataset"), int(version) if colon else None)
