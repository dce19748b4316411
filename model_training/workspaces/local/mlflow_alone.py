"""The import of MLflow, without what Azure ML adds to it where both are installed. Knows no run and no database.

MLflow imports every plugin when it is imported, and azureml-mlflow brings a good part of SDK v1: a local command needs
none of it, and waits for none of it.
"""

from __future__ import annotations

import importlib
import importlib.metadata as metadata
import sys
from typing import Any

PLUGINS, AZURE = "mlflow.", "azureml"


def import_mlflow() -> None:
    """To be called before any other import of it."""
    if "mlflow" in sys.modules:
        return
    everything = metadata.entry_points

    def others(**which: Any) -> Any:
        found: Any = everything(**which)
        if not str(which.get("group", "")).startswith(PLUGINS):
            return found
        return [each for each in found if not each.value.startswith(AZURE)]

    setattr(metadata, "entry_points", others)  # noqa: B010  (MLflow asks this very name)
    try:
        importlib.import_module("mlflow")
        later = importlib.import_module("mlflow.utils.plugins")  # some it looks for when they are first used
        setattr(later, "_get_entry_points", lambda group: others(group=group))  # noqa: B010
    finally:
        setattr(metadata, "entry_points", everything)  # noqa: B010
