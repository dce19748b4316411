"""What a bundle is made of, whoever trained the model. Knows no trainer and no files' formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model_training.workspaces.base import Json, Reporter

Complete = Callable[[Path, Json, Path, Reporter], Json]


@dataclass(frozen=True)
class Material:
    """`file` tells this model from every other; its bytes lie in the bundle as `stored_as`.

    `described` are the manifest's fields that no data decides. `complete(staging, manifest, validation, reporter)` sees
    to it that `staging` holds a `model.onnx` that runs, and gives what else the manifest says of it.
    """

    file: Path
    stored_as: str
    described: Json
    settings: Json
    threshold: float | None  # that the job fixes; None: chosen on validation
    complete: Complete
