"""Everything up to a registered model: labelled data, jobs, sweep, training, evaluation, packaging, workspaces.

The public Python API says the same as the command line; names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_training.jobs.load import load_job
    from model_training.pipeline import train_and_register
    from model_training.workspaces.local import LocalWorkspace as Workspace

__all__ = ["Workspace", "load_job", "train_and_register"]

_HOMES = {
    "Workspace": ("model_training.workspaces.local", "LocalWorkspace"),
    "load_job": ("model_training.jobs.load", "load_job"),
    "train_and_register": ("model_training.pipeline", "train_and_register"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
