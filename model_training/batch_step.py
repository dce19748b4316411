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
    return host(args.sdk, lambda workspace, run_id: score(workspace, run_id, args))


def score(workspace: AzureWorkspace, run_id: str, args: argparse.Namespace) -> dict[str, Any]:
    """Raises: CvaError, with what a person can do about it."""
    from model_training.batch_scoring import score_dataset

    made = score_dataset(
        workspace, dataset_name=args.dataset_name, model_name=args.model_name, run_id=run_id, reporter=say
    )
    shutil.copytree(made.folder, Path("outputs") / "predictions", dirs_exist_ok=True)
    return {**made.to_json(), "datastore": workspace.keep_folder(made.folder, f"cva/predictions/{run_id}")}


if __name__ == "__main__":
    sys.exit(main())
