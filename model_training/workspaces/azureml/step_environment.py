"""What a published step runs in, whichever generation publishes it: base image, Python, pins, a version of them.

Nothing in it floats: the same version is the same environment next year. Builds nothing and knows no SDK.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

# Azure ML's own base image, which holds conda; the tag is the one that azureml-core 1.61 pins for itself
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"


def requirement_lines(file: Path) -> list[str]:
    """Without comments."""
    lines = (line.partition(" #")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def environment_version(python: str, requirements: Path) -> str:
    """The same for the same contents."""
    contents = [IMAGE, python, *requirement_lines(requirements)]
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()[:12]
