"""Entry script of Azure ML endpoints: `init()` once, `run()` for each request or mini-batch; its code is in `code/`.

What `run` is given says where it is: a list of files on a batch endpoint, an HTTP request under the inference server,
a JSON text anywhere else. Several threads may call it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODEL: Any = None
SERVERS = ("azureml_inference_server_http.api", "azureml.contrib.services")  # the second: images of the first SDK


def _server() -> tuple[Callable[..., Any], Any]:
    """The mark for a `run` that takes the request itself, and the class of answers with a status of their own."""
    for home in SERVERS:
        try:
            request = importlib.import_module(f"{home}.aml_request")
            response = importlib.import_module(f"{home}.aml_response")
        except ModuleNotFoundError:
            continue
        return request.rawhttp, response.AMLResponse
    return lambda function: function, None


rawhttp, AMLResponse = _server()


def init() -> None:
    """Load the bundle that Azure ML has mounted at AZUREML_MODEL_DIR, or the one that this file lies in."""
    global MODEL
    folder = _bundle_folder()
    if str(folder / "code") not in sys.path:
        sys.path.insert(0, str(folder / "code"))
    loader = importlib.import_module("cva_bundle")
    loader.forget_cache(__spec__)
    MODEL = loader.load(folder)


@rawhttp
def run(data: Any) -> Any:
    """The answer of /score; rows of a batch for a list of files; a refusal says what was expected."""
    if isinstance(data, list | tuple):
        return MODEL.rows(data)
    http = importlib.import_module("cva_http")
    if isinstance(data, str | bytes):
        return http.answer(MODEL, data)
    if AMLResponse is None or not hasattr(data, "stream"):
        raise TypeError(f"expected a list of files, a JSON text or an HTTP request, found {type(data).__name__}")
    reply = http.reply(MODEL, data, importlib.import_module("flask").g.get("request_id", ""))
    return AMLResponse(reply.body, reply.status, reply.headers)


def _bundle_folder() -> Path:
    """Raises: FileNotFoundError where there is no bundle; ValueError where several are mounted."""
    mounted = os.environ.get("AZUREML_MODEL_DIR")
    found = _bundles(Path(mounted)) if mounted else []
    here = Path(__file__).resolve().parent
    if not found and (here / "manifest.json").is_file():
        found = [here]
    if len(found) > 1:
        raise ValueError(f"expected one bundle below {mounted}, found {', '.join(map(str, found))}")
    if not found:
        raise FileNotFoundError(f"expected a bundle (manifest.json) in AZUREML_MODEL_DIR ({mounted}) or {here}")
    return found[0]


def _bundles(folder: Path) -> list[Path]:
    """The folder itself, or those at most two folders deeper: Azure ML mounts a model below its name and version."""
    for pattern in ("manifest.json", "*/manifest.json", "*/*/manifest.json"):
        found = sorted(path.parent for path in folder.glob(pattern) if (path.parent / "model.onnx").is_file())
        if found:
            return found
    return []
