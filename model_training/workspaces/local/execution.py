"""What surrounds the work of any run: how it ended is recorded, what happens is logged, a cancellation is heard.

Knows nothing about what the work is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from model_training.workspaces.base import Event, Reporter
from scoring.errors import CancelledError, CvaError

if TYPE_CHECKING:
    from model_training.workspaces.local.workspace import LocalWorkspace


@contextmanager
def recorded(workspace: LocalWorkspace, run_id: str) -> Iterator[None]:
    """However the block ends, the run's record and MLflow say so."""
    status, error = "Failed", ""
    try:
        yield
        status = "Completed"
    except (CancelledError, KeyboardInterrupt) as stop:
        status, error = "Canceled", str(stop) or "interrupted; submit again to go on"
        raise
    except CvaError as failure:
        error = str(failure)
        raise
    except BaseException as failure:
        error = f"{type(failure).__name__}: {failure}"
        raise
    finally:
        if status != "Completed":
            workspace.runs.reporter(run_id)(Event("warning", f"{status}: {error}"))
            workspace.runs.update(run_id, status=status, error=error)
        workspace.automl.end_run(workspace.runs.get(run_id))


def tee(workspace: LocalWorkspace, run_id: str, reporter: Reporter) -> Reporter:
    """Tells the run's log and `reporter`; raises CancelledError at the next stage of a run that was cancelled."""
    log, cancelled = workspace.runs.reporter(run_id), workspace.runs.cancelled(run_id)

    def tell(event: Event) -> None:
        if event.kind == "stage" and cancelled():
            raise CancelledError(f"run {run_id} was cancelled", hint="the same command goes on with it")
        log(event)
        reporter(event)

    return tell
