"""Entry script of an Azure ML online endpoint: `init()` once, `run()` for each request. Runs from `code/` beside it."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

MODEL: Any = None


def init() -> None:
    """Load the bundle that this file lies in, or the one that Azure ML has mounted at AZUREML_MODEL_DIR."""
    global MODEL
    folder = _bundle_folder()
    sys.path.insert(0, str(folder / "code"))
    MODEL = importlib.import_module("cva_bundle").BundleModel(folder)


def run(raw_data: str | bytes) -> list[dict[str, Any]] | dict[str, Any]:
    """The answer of /score; a request of another shape is answered with what was expected."""
    from scoring.errors import UsageError
    from scoring.wire import parse_score_request

    try:
        return list(MODEL.answer(parse_score_request(raw_data)))
    except UsageError as error:
        return {"error": {"code": "bad_request", "message": error.message}}


def _bundle_folder() -> Path:
    here = Path(__file__).resolve().parent
    mounted = os.environ.get("AZUREML_MODEL_DIR")
    found = [here, *sorted(path.parent for path in Path(mounted).rglob("manifest.json"))] if mounted else [here]
    return next((folder for folder in found if (folder / "manifest.json").is_file()), here)
