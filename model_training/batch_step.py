"""The one step of a published batch-scoring pipeline: a data set and a model in, predictions for every image out.

They lie in the run's `outputs/predictions/`, and in the workspace's default datastore under `cva/predictions/RUN/`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # a script step puts the script's own folder first; the packages lie beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from model_training.step_host import host, say, step_parser

if TYPE_CHECKING:
    from model_training.workspaces.azureml.workspace import AzureWorkspace


def main(argv: Sequence[str] | None = None) -> int:
    top = step_parser("scores every image of a data set with a registered model")
    args = top.parse_args(argv)
    return host(args, lambda workspace, run_id: score(workspace, run_id, args))


def score(workspace: AzureWorkspace, run_id: str, args: argparse.Namespace) -> dict[str, Any]:
    """Raises: CvaError, with what a person can do about it."""
    from model_training.batch_scoring import score_dataset

    made = score_dataset(
        workspace, dataset_name=args.dataset_name, model_name=args.model_name, run_id=run_id, reporter=say
    )
    shutil.copytree(made.folder, Path("outputs") / "predictions", dirs_exist_ok=True)
    return {**made.to_json(), "predictions": _keep(workspace, made.folder, f"cva/predictions/{run_id}")}


def _keep(workspace: AzureWorkspace, folder: Path, path: str) -> str:
    """Copies every file into the default datastore; returns where that is, as Azure ML says it."""
    datastore = workspace.service.default_datastore()
    blobs = workspace.service.blobs(datastore)
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            blobs.upload(file, f"{path}/{file.name}", overwrite=True)
    return f"azureml://datastores/{datastore}/paths/{path}/"


if __name__ == "__main__":
    sys.exit(main())
