"""The files that the best trial of an AutoML run left, fetched: its ONNX export, labels, settings and numbers.

Pickles stay where they are: nothing here may open one. Paths come from the service, so they are checked.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from model_training.workspaces.azureml.service import Service
from scoring.errors import NotFoundError
from scoring.paths import PICKLES, check_paths

ARTIFACTS = "train_artifacts/"


def fetch_leavings(service: Service, run_id: str, folder: Path) -> Path:
    """The folder with `train_artifacts/…` as the run has them; what is there already is not fetched again.

    Raises: NotFoundError when the run has none, IntegrityError for an unsafe path.
    """
    there = [path for path in service.files(run_id) if _wanted(path)]
    if not any(path.startswith(ARTIFACTS) for path in there):
        raise NotFoundError(
            f"run {run_id} left no {ARTIFACTS} to make a bundle of",
            hint="look into its user_logs/std_log.txt; an object-detection run writes model.onnx there",
        )
    check_paths((path, 0) for path in there)
    for path in there:
        target = folder / path
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{secrets.token_hex(4)}.partial")
            try:
                service.download_file(run_id, path, partial)
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
    return folder


def _wanted(path: str) -> bool:
    from model_training.packaging.automl_files import OPTIONAL

    return path in OPTIONAL or (path.startswith(ARTIFACTS) and not path.lower().endswith(PICKLES))
