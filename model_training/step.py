"""The one step of a published pipeline, as Azure ML runs it: parameters in, a registered model out.

It runs on the small CPU cluster under the cluster's managed identity, from the folder that publishing staged, and waits
there for the AutoML run on the GPU cluster. Run again after its node was restarted it goes on with the same AutoML run;
told to stop (SIGTERM) it cancels that run first. What it leaves in `outputs/` is kept with the run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # a script step puts the script's own folder first; the packages lie beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from model_training.step_host import host, say, step_parser

if TYPE_CHECKING:
    from model_training.pipeline import Registered
    from model_training.workspaces.azureml.workspace import AzureWorkspace

METRICS = ("split", "images", "mean_average_precision", "precision", "recall")


def main(argv: Sequence[str] | None = None) -> int:
    top = step_parser("trains on a data set and registers the best model")
    top.add_argument("--cluster", required=True, help="the GPU cluster that the AutoML run goes to")
    top.add_argument("--job", type=Path, default=Path("job.yml"), help="the job file that was published")
    args = top.parse_args(argv)
    return host(args, lambda workspace, run_id: train(workspace, run_id, args))


def train(workspace: AzureWorkspace, run_id: str, args: argparse.Namespace) -> dict[str, Any]:
    """Raises: CvaError, with what a person can do about it."""
    from model_training.jobs.load import load_job
    from model_training.pipeline import train_and_register

    made = train_and_register(
        workspace,
        load_job(args.job, target="azure"),
        dataset_name=args.dataset_name,
        model_name=args.model_name,
        cluster=args.cluster,
        run_id=run_id,
        git_commit=args.git_commit,
        reporter=say,
    )
    result = _result(made)
    _keep(made, result)
    return result


def _result(made: Registered) -> dict[str, Any]:
    result: dict[str, Any] = {"model": None, "version": None}
    if made.model:
        result = {"model": made.model.name, "version": made.model.version, "champion": made.model.champion}
    metrics = made.bundle.manifest["metrics"]
    decision = {"code": made.decision.code, "reason": made.decision.reason, "promote": made.decision.promote}
    kept = {name: metrics.get(name) for name in METRICS}
    return {**result, "metrics": kept, "decision": decision, "dataset": made.dataset.reference}


def _keep(made: Registered, result: dict[str, Any]) -> None:
    """What Azure ML uploads with the run: the report, and the service's own files, which are no part of the bundle."""
    outputs = Path("outputs")
    shutil.copytree(made.report.parent, outputs / "report", dirs_exist_ok=True)
    if made.best.best.exported:
        shutil.copytree(made.best.best.exported, outputs / "automl", dirs_exist_ok=True)
    (outputs / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
