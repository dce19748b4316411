"""What surrounds the work of a published step, whichever it is: its run and workspace, being stopped, how it ends.

Azure ML sets the names of the workspace and the run in the environment; the identity is the cluster's own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from scoring.errors import CancelledError, CvaError, UsageError

if TYPE_CHECKING:
    from model_training.workspaces.azureml.workspace import AzureWorkspace
    from model_training.workspaces.base import Event

PLACE = ("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP", "AZUREML_ARM_WORKSPACE_NAME")  # set for every run
RUN_ID = "AZUREML_RUN_ID"
STOPPED = "the step was told to stop"

Work = Callable[["AzureWorkspace", str], dict[str, Any]]


def step_parser(description: str) -> argparse.ArgumentParser:
    """The arguments that every step has: how it was published, and two of the parameters."""
    top = argparse.ArgumentParser(description=description)
    top.add_argument("--sdk", choices=("v1", "v2"), required=True, help="the generation it was published with")
    top.add_argument("--git-commit", default="", help="of the code that was published")
    top.add_argument("--source-sha256", default="", help="of every file that was published")
    top.add_argument("--environment", default="", help="NAME:VERSION that it was published to run in")
    top.add_argument("--dataset-name", required=True)
    top.add_argument("--model-name", required=True)
    return top


def host(args: argparse.Namespace, work: Work) -> int:
    """Do the work of this run; returns the exit code.

    The result is kept with the run and is the last line printed. A failure is said on stderr and kept with the run,
    where people look first.
    """
    signal.signal(signal.SIGTERM, _stop)
    try:
        workspace, run_id = open_here(args, os.environ)
        runs = [run_id, *_above(workspace, run_id)]
    except CvaError as error:
        return _failed(error)
    try:
        result = work(workspace, run_id)
    except (CvaError, KeyboardInterrupt) as error:
        failure = error if isinstance(error, CvaError) else CancelledError(STOPPED, hint="submit the endpoint again")
        code = _failed(failure)  # said first: the run may be out of reach
        _note(workspace, runs, error=str(failure))
        return code
    except Exception as error:  # a mistake of ours: Python says where, the run says that
        _note(workspace, runs, error=f"{type(error).__name__}: {error}")
        raise
    _note(workspace, runs, result=result)
    print(json.dumps(result))
    return 0


def open_here(args: argparse.Namespace, environ: Mapping[str, str]) -> tuple[AzureWorkspace, str]:
    """The workspace that this run belongs to, and the run's id. Raises: UsageError outside of a run."""
    from model_training.workspaces.azureml.service import Place
    from model_training.workspaces.azureml.training import NEWEST
    from model_training.workspaces.azureml.workspace import AzureWorkspace
    from model_training.workspaces.open import cache_folder, connect

    missing = [name for name in (*PLACE, RUN_ID) if not environ.get(name)]
    if missing:
        raise UsageError(f"this is no run of Azure ML: {', '.join(missing)} not set", hint="submit the endpoint")
    place = Place(*(environ[name] for name in PLACE))
    newer = partial(connect, place, NEWEST)  # requirements/step.txt holds both
    step = {"environment": args.environment, "source_sha256": args.source_sha256}
    service = connect(place, args.sdk)
    return AzureWorkspace(service, cache_folder(place), newer=newer, step=step), environ[RUN_ID]


def _above(workspace: AzureWorkspace, run_id: str) -> list[str]:
    """The pipeline's run that this step is of: the one that was submitted, and that people look at."""
    parent = workspace.service.run(run_id).parent
    return [parent] if parent else []


def say(event: Event) -> None:
    print(f"==> {event.text}" if event.kind == "stage" else f"    {event.text}", flush=True)


def _note(
    workspace: AzureWorkspace, runs: Sequence[str], *, result: dict[str, Any] | None = None, error: str = ""
) -> None:
    """What was done does not fail because its run cannot be reached any more: it is printed, too."""
    try:
        for each in runs:
            workspace.runs.note(each, result=result, error=error)
    except CvaError as lost:
        print(f"that could not be kept with the run: {lost.message}", file=sys.stderr, flush=True)


def _stop(number: int, frame: object) -> None:
    """An interrupt, which no SDK takes for a failed call of its own; told again, the work goes on ending."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt(STOPPED)


def _failed(error: CvaError) -> int:
    print(f"the step failed: {error}", file=sys.stderr, flush=True)
    for line in getattr(error, "problems", ()):
        print(f"  {line}", file=sys.stderr)
    return error.exit_code
