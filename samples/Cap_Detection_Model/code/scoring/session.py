"""An ONNX file as something that runs, in the words of this package. Knows onnxruntime, nothing about detectors.

Memory: onnxruntime keeps what its runs so far needed at the same time, for the next ones, until the session is gone. A
nano at 256 pixels (1.3 MB) takes 14 MiB when loaded, 31 after one image, 56 after a batch of 8. Without the arena it
took as much alone and 20 MiB more under four threads, and giving memory back after each run was no better: there is no
option for either.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scoring.errors import IncompatibleError, IntegrityError, UsageError
from scoring.onnxfile import read_onnx

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}


Ports: TypeAlias = "dict[str, tuple[str, list[Any]]]"


class Session:
    """A loaded graph; `inputs` and `outputs` are name -> (type, shape), in the graph's order. Threads may share one."""

    def __init__(self, runtime: Any, name: str) -> None:
        self.name = name
        self.inputs: Ports = {each.name: (str(each.type), list(each.shape)) for each in runtime.get_inputs()}
        self.outputs: Ports = {each.name: (str(each.type), list(each.shape)) for each in runtime.get_outputs()}
        self._runtime = runtime
        self._errors = _runtime_errors()

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Raises: IncompatibleError where the runtime fails on this graph."""
        try:
            return [np.asarray(each) for each in self._runtime.run(list(outputs), dict(feed))]
        except self._errors as error:
            raise IncompatibleError(
                f"the model of {self.name} failed while running: {error}", hint="free memory, or export it again"
            ) from error


def runtime() -> Any:
    """onnxruntime, imported with its telemetry off: on Linux, too, it would send who runs what to its makers.

    Only the environment turns that off, before the import; calling disable_telemetry_events() does not (1.31).
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def check_provider(provider: str) -> None:
    """Raises: UsageError for an unknown one, IncompatibleError where this onnxruntime lacks it."""
    _available(provider, runtime().get_available_providers())


def open_session(model: Path, *, threads: int, provider: str, name: str = "", sha256: str = "") -> Session:
    """The bytes that the runtime gets have this `sha256`, whatever lay there when the file was verified.

    Raises: UsageError, IncompatibleError, IntegrityError.
    """
    onnxruntime = runtime()
    wanted = _available(provider, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    providers = [wanted] if provider == "cpu" else [wanted, PROVIDERS["cpu"]]
    data = _read(model, sha256)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=providers)
    except _runtime_errors() as error:
        raise IncompatibleError(
            f"onnxruntime {onnxruntime.__version__} cannot load {model}: {error}", hint="update onnxruntime"
        ) from error
    if wanted not in session.get_providers():  # it falls back to the CPU and says so only in its log
        raise IncompatibleError(
            f"{wanted} does not start here, onnxruntime would use {', '.join(session.get_providers())}",
            hint="install the driver and libraries it needs, or use provider 'cpu'",
        )
    return Session(session, name or str(model))


def _read(model: Path, sha256: str) -> bytes:
    data = read_onnx(model)
    found = hashlib.sha256(data).hexdigest() if sha256 else ""
    if found != sha256:
        raise IntegrityError(
            f"{model} differs from its manifest: expected sha256 {sha256}, found {found}",
            hint="do not use it: it was changed after it was verified; pull or register the model again",
        )
    return data


def _available(provider: str, here: Sequence[str]) -> str:
    wanted = PROVIDERS.get(provider)
    if wanted is None:
        raise UsageError(f"expected a provider of {', '.join(PROVIDERS)}, found {provider!r}")
    if wanted not in here:
        known = [word for word, name in PROVIDERS.items() if name in here]
        raise IncompatibleError(
            f"this onnxruntime has no provider {provider} ({wanted}); available: {', '.join(known)}",
            hint="install the onnxruntime build for it, or use provider 'cpu'",
        )
    return wanted


def _runtime_errors() -> tuple[type[Exception], ...]:
    runtime()
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NoSuchFile", "NotImplemented")
    return (*(getattr(state, name) for name in (*names, "RuntimeException", "EPFail", "EngineError")), RuntimeError)
