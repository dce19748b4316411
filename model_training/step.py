"""The one step of a published pipeline, as Azure ML runs it: parameters in, a registered model out.

It runs on the small CPU cluster under the cluster's managed identity, from the folder that publishing staged, and waits
there for the AutoML run on the GPU cluster. Run again after its node was restarted it goes on with the same AutoML run;
told to stop (SIGTERM) it cancels that run first. What it leaves in `outputs/` is kept with the run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # a script step puts the script's own folder first; the packages lie beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from scoring.errors import CancelledError, CvaError, UsageError

if TYPE_CHECKING:
    from model_training.pipeline import Registered
    from model_training.workspaces.azureml.workspace import AzureWorkspace
    from model_training.workspaces.base import Event

PLACE = ("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP", "AZUREML_ARM_WORKSPACE_NAME")  # set for every run
RUN_ID = "AZUREML_RUN_ID"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code; a failure is said on stderr and in a tag of the run, where people look first."""
    args = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _stop)
    try:
        workspace, run_id = open_here(args.sdk, os.environ)
    except CvaError as error:
        return _failed(error)
    try:
        result = run(workspace, run_id, args)
    except CvaError as error:
        workspace.runs.note(run_id, error=str(error))
        return _failed(error)
    print(json.dumps(result))
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="step.py", description=__doc__.splitlines()[0] if __doc__ else None)
    top.add_argument(
        "--sdk", choices=("v1", "v2"), required=True, help="the generation that the endpoint was published with"
    )
    top.add_argument("--job", type=Path, default=Path("job.yml"), help="the job file the endpoint was published with")
    top.add_argument("--git-commit", default="")
    top.add_argument("--register", choices=("always", "if-better"), default="always")
    top.add_argument("--dataset-name", required=True)
    top.add_argument("--model-name", required=True)
    top.add_argument("--cluster", required=True)
    return top


def open_here(generation: str, environ: Mapping[str, str]) -> tuple[AzureWorkspace, str]:
    """The workspace that this run belongs to, and the run's id. Raises: UsageError outside of a run."""
    from model_training.workspaces.azureml.service import Place
    from model_training.workspaces.azureml.workspace import AzureWorkspace
    from model_training.workspaces.open import cache_folder, connect

    missing = [name for name in (*PLACE, RUN_ID) if not environ.get(name)]
    if missing:
        raise UsageError(
            f"this is no run of Azure ML: {', '.join(missing)} not set", hint="submit the endpoint instead"
        )
    place = Place(*(environ[name] for name in PLACE))
    return AzureWorkspace(connect(place, generation), cache_folder(place)), environ[RUN_ID]


def run(workspace: AzureWorkspace, run_id: str, args: argparse.Namespace) -> dict[str, Any]:
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
        register=args.register,
        git_commit=args.git_commit,
        reporter=_say,
    )
    result = _result(made)
    _keep(made, result)
    workspace.runs.note(run_id, result=result)
    return result


def _result(made: Registered) -> dict[str, Any]:
    decision = {"code": made.decision.code, "reason": made.decision.reason, "promote": made.decision.promote}
    model = (
        {"model": made.model.name, "version": made.model.version, "champion": made.model.champion} if made.model else {}
    )
    metrics = made.bundle.manifest["metrics"]
    names = ("split", "images", "mean_average_precision", "precision", "recall")
    kept = {name: metrics.get(name) for name in names}
    return {
        "model": None,
        "version": None,
        **model,
        "metrics": kept,
        "decision": decision,
        "dataset": made.dataset.reference,
    }


def _keep(made: Registered, result: dict[str, Any]) -> None:
    """What Azure ML uploads with the run: the report, and the service's own files beside the bundle's numbers."""
    outputs = Path("outputs")
    shutil.copytree(made.report.parent, outputs / "report", dirs_exist_ok=True)
    if made.best.best.exported:
        shutil.copytree(made.best.best.exported, outputs / "automl", dirs_exist_ok=True)
    (outputs / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _say(event: Event) -> None:
    print(f"==> {event.text}" if event.kind == "stage" else f"    {event.text}", flush=True)


def _stop(number: int, frame: object) -> None:
    raise CancelledError(
        "the step was told to stop", hint="submit the endpoint again; what was trained stays in its run"
    )


def _failed(error: CvaError) -> int:
    print(f"step.py: {error}", file=sys.stderr, flush=True)
    for line in getattr(error, "problems", ()):
        print(f"  {line}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
