"""`cva serve` as a process of its own, and what the system says about it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tests.refusing import AZURE, environment

PATIENCE = 60.0  # seconds; nothing waits longer than it must


class Process:
    """Runs until the `with` ends; `log` is what it wrote on stderr, line by line."""

    def __init__(self, *arguments: str | Path, **environ: str) -> None:
        command = [sys.executable, "-m", "model_training.cli.main", "--json", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment(*AZURE), **environ},
        )
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self._reader.join(PATIENCE)
            raise AssertionError(f"the server did not start:\n{self.text}")
        self.port = int(json.loads(line)["port"])

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        return "".join(self.log)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """`x_api_key="…"` is the header x-api-key."""
        connection = self.connect()
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(PATIENCE)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return status

    def memory(self, word: str = "VmRSS") -> int:
        """Bytes: VmRSS is what it holds now, VmHWM the most it ever held."""
        return 1024 * int(self._status(word).split()[0])

    def threads(self) -> int:
        return int(self._status("Threads"))

    def files(self) -> int:
        """Open ones, connections too."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def _status(self, word: str) -> str:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(line for line in text.splitlines() if line.startswith(f"{word}:")).partition(":")[2].strip()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)  # one element at a time, as they come


def until(condition: Callable[[], bool], words: str = "it never came") -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, words
        time.sleep(0.02)
