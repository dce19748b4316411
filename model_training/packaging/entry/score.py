"""Entry script of an Azure ML online endpoint: `init()` once, `run()` for each request. Runs from `code/` beside it."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

CODE: Any = None  # the module code/cva_bundle.py
MODEL: Any = None


def init() -> None:
    """Load the bundle that this file lies in, or the one that Azure ML has mounted at AZUREML_MODEL_DIR."""
    global CODE, MODEL
    folder = _bundle_folder()
    sys.path.insert(0, str(folder / "code"))
    CODE = importlib.import_module("cva_bundle")
    MODEL = CODE.BundleModel(folder)


def run(raw_data: str) -> list[dict[str, Any]] | dict[str, Any]:
    """The answer of /score; a request of another shape is answered with what was expected."""
    try:
        return list(MODEL.answer(CODE.images_of(json.loads(raw_data))))
    except (CODE.UsageError, json.JSONDecodeError) as error:
        return {"error": {"code": "bad_request", "message": str(error)}}


def _bundle_folder() -> Path:
    here = Path(__file__).resolve().parent
    mounted = os.environ.get("AZUREML_MODEL_DIR")
    found = [here, *sorted(path.parent for path in Path(mounted).rglob("manifest.json"))] if mounted else [here]
    return next((folder for folder in found if (folder / "manifest.json").is_file()), here)
