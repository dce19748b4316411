"""Everything after a registered model: pull, verify, score. Imports no model_training, torch, mlflow or Azure SDK.

The public names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoring.bundle import load_bundle
    from scoring.detector import Detector
    from scoring.images import open_image

__all__ = ["Detector", "load_bundle", "open_image"]

_HOMES = {"Detector": "scoring.detector", "load_bundle": "scoring.bundle", "open_image": "scoring.images"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
