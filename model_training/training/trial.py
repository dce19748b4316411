"""A trial as a process: `python -m model_training.training.trial FOLDER`. `spec.py` describes the files of FOLDER."""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from types import TracebackType

from model_training.errors import ConflictError, CvaError
from model_training.training.files import TrialFolder

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def main(arguments: list[str] | None = None) -> int:
    """Train, or go on training; returns the exit code of `scoring.errors`."""
    folder = _folder(arguments)
    try:
        with folder.lock():
            return _run(folder)
    except ConflictError as error:  # the process that holds the folder is well
        logging.getLogger(__name__).error("%s", error)
        return error.exit_code
    except CvaError as error:
        return _fail(folder, type(error).__name__, error.message, error.hint, error.exit_code)


def _folder(arguments: list[str] | None = None) -> TrialFolder:
    parser = argparse.ArgumentParser(prog="python -m model_training.training.trial", description=__doc__)
    parser.add_argument("folder", type=Path, help="the trial's folder, with trial.json in it")
    return TrialFolder(parser.parse_args(arguments).folder.resolve())


def _run(folder: TrialFolder) -> int:
    if folder.read("result.json") is not None:
        return 0
    (folder.path / "error.json").unlink(missing_ok=True)  # of an earlier start
    spec = folder.spec()
    os.environ["OMP_NUM_THREADS"] = str(spec.threads)
    import cv2
    import torch

    from model_training.training.budget import Budget
    from model_training.training.loop import Trial

    torch.set_num_threads(spec.threads)
    cv2.setNumThreads(0)
    budget = Budget(spec.budget_cpu_seconds, spec.budget_seconds)
    folder.write("result.json", Trial(spec, folder, budget).run())
    return 0


def _fail(folder: TrialFolder, kind: str, message: str, hint: str, code: int) -> int:
    logging.getLogger(__name__).error("%s: %s", kind, message)
    if folder.path.is_dir():
        folder.write("error.json", {"type": kind, "message": message, "hint": hint})
    return code


def _crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody foresaw: the traceback goes to the log, the rest to the controller."""
    folder = _folder()
    log = folder.path / "log.txt"
    with log.open("a", encoding="utf-8") as file:
        traceback.print_exception(kind, error, trace, file=file)
    _fail(folder, kind.__name__, str(error) or kind.__name__, f"the traceback is in {log}", 1)


def _die_with_parent() -> None:
    """A trial ends with its controller, however that ends: nobody would read its reports."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _keep_memory() -> None:
    """Freed memory stays with the process: a step uses the same amounts again, and fresh pages cost time."""
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


if __name__ == "__main__":
    _die_with_parent()
    _keep_memory()
    sys.excepthook = _crash
    sys.exit(main())
