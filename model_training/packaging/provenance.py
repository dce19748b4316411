"""Where a bundle comes from: enough to find the very data, split, code and run again. Reads no files."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from model_training.workspaces.base import Json, TrialResult

MEASURING = ("onnxruntime", "numpy", "pillow", "hotcoco")  # that the numbers depend on
TRAINING = ("torch", "onnx")  # and the weights, where they were made here


@dataclass(frozen=True)
class Source:
    name: str  # of the model
    dataset_name: str
    dataset_version: str
    dataset_sha256: str
    split_sha256: str
    run_id: str
    git_commit: str
    seed: int


def source_json(trial: TrialResult, source: Source) -> Json:
    """The manifest's `source`."""
    return {
        "engine": "azureml" if trial.exported else "local",
        "run_id": source.run_id,
        "git_commit": source.git_commit,
        "dataset": {
            "name": source.dataset_name,
            "version": source.dataset_version,
            "sha256": source.dataset_sha256,
        },
        "split_sha256": source.split_sha256,
        "seed": source.seed,
        "trial": {"number": trial.number, "best_epoch": trial.best_epoch, "epochs": trial.epochs},
        "packages": packages(MEASURING if trial.exported else (*TRAINING, *MEASURING)),
    }


def packages(names: Iterable[str]) -> dict[str, str]:
    """Versions of those that are installed, and Python's."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
