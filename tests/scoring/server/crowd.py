"""Callers that a server should not notice: slow ones, idle ones, some that never read, and busy ones beside them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from typing import Any

from tests.scoring.server import versions
from tests.scoring.server.process import Process

HEALTH = ("/health/live", "/health/ready")


def score(server: Process, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    """One picture, or a JSON body."""
    connection = server.connect()
    try:
        kind = "image/png" if body is None else "application/json"
        connection.request("POST", "/score", body or versions.picture(), {"content-type": kind, **headers})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(answer.read())
    finally:
        connection.close()


class Crowd:
    """200 connections: some say nothing, some send their head, some their body, one byte a second.

    And 20 that ask for more than the system's buffers hold, and read none of it.
    """

    HEAD = b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ncontent-length: 1000\r\n\r\n"
    ASK = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 10

    def __init__(self, server: Process) -> None:
        self.lines = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(200)]
        self.deaf = [_deaf(server.port) for _ in range(20)]
        self._end = False
        for line in self.deaf:
            line.sendall(self.ASK)
        for line in self.lines[140:]:
            line.sendall(self.HEAD)
        self._thread = threading.Thread(target=self._trickle)
        self._thread.start()

    def _trickle(self) -> None:
        at = 0
        while not self._end:
            for number, line in enumerate(self.lines[70:]):
                try:
                    line.sendall(self.HEAD[at % len(self.HEAD) :][:1] if number < 70 else b"x")
                except OSError:  # the server has had enough
                    continue
            at += 1
            time.sleep(1)

    def are_cut_off(self) -> bool:
        """The server ended every one of those who are slow."""
        return all(_is_over(line) for line in self.lines)

    def close(self) -> None:
        self._end = True
        self._thread.join()
        for line in (*self.lines, *self.deaf):
            line.close()


def _deaf(port: int) -> socket.socket:
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the server's own buffer becomes small, too
    line.settimeout(20)
    line.connect(("127.0.0.1", port))
    return line


def _is_over(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        while line.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class Busy(threading.Thread):
    """A caller with good pictures, one after the other."""

    def __init__(self, server: Process) -> None:
        super().__init__()
        self.server, self.statuses, self._end = server, list[int](), False

    def run(self) -> None:
        while not self._end:
            self.statuses.append(score(self.server)[0])

    def end(self) -> None:
        self._end = True
        self.join()


def probe(server: Process, path: str) -> tuple[int, float]:
    """Its status and how many seconds it took, on a connection of its own; 0 where there was none."""
    began = time.monotonic()
    try:
        status, _ = server.get(path)
    except (OSError, http.client.HTTPException):
        status = 0
    return status, time.monotonic() - began
