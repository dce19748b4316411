"""Nothing that scores speaks to anybody: onnxruntime's own telemetry is off, which a run without us shows to exist."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WAIT = 15  # seconds; what is collected is sent some 5 to 10 after the first session
OURS = """
from scoring.session import open_session
session = open_session(model, threads=1, provider="cpu")
"""
THEIRS = """
import onnxruntime
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
"""


class Listener:
    """A proxy that only hears who is asked for."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self.asked.append(connection.recv(200))
            connection.close()


def test_no_telemetry_is_sent(tmp_path: Path) -> None:
    heard = {"ours": Listener(), "theirs": Listener()}
    processes = [started(code, heard[name], tmp_path / name) for name, code in (("ours", OURS), ("theirs", THEIRS))]
    for process in processes:
        assert process.wait(timeout=120) == 0
    assert heard["ours"].asked == []
    if not heard["theirs"].asked:
        pytest.skip("this onnxruntime sends no telemetry")
    assert b"events.data.microsoft.com" in heard["theirs"].asked[0]


def started(code: str, listener: Listener, home: Path) -> subprocess.Popen[bytes]:
    """Lives for WAIT seconds, with no sign of CI in its environment: there onnxruntime is silent."""
    home.mkdir()
    certificates = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), listener.address)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "SSL_CERT_FILE": certificates,
    }
    model = ROOT / "samples" / "Cap_Detection_Model" / "model.onnx"
    program = f"from pathlib import Path\nmodel = Path({str(model)!r})\n{code}\nimport time; time.sleep({WAIT})"
    return subprocess.Popen([sys.executable, "-c", program], env={**environment, **proxies})
