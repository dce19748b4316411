"""The callers: kept-open connections, each with one request at a time, in one process of the standard library alone.

    python -m benchmarks.serving.load PORT KIND FOLDER --concurrency 4 --requests 300 --warm-up 20

Warms up, prints "ready", waits for a line, sends, and prints one line of JSON: every latency in milliseconds, the wall
time, and its own CPU, which is no part of the server's. Any other answer than 200 ends it.
"""

from __future__ import annotations

import argparse
import base64
import json
import selectors
import socket
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

TIMEOUT = 60.0


class Caller:
    """One connection, opened again where the server closes it after each answer (gunicorn's default workers do)."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.closing = False
        self.sent = 0.0
        self._data = b""

    def send(self, request: bytes) -> None:
        self._data, self.sent = b"", time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The answer's body once it is whole."""
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise SystemExit("the server closed a connection")
        self._data += chunk
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return None
        if b" 200 " not in head[:16]:
            raise SystemExit(f"expected 200, found {head[:80]!r} {body[:300]!r}")
        self.closing = b"\r\nconnection: close" in head.lower()
        return body


def requests(port: int, kind: str, folder: Path) -> list[bytes]:
    """`raw` is the JPEG as it is, `json` the same in Azure ML's shape."""
    return [_request(port, kind, path.read_bytes()) for path in sorted(folder.iterdir())]


def ask(port: int, request: bytes) -> bytes:
    """One request on a connection of its own."""
    caller = Caller(port)
    caller.send(request)
    while (body := caller.receive()) is None:
        pass
    caller.socket.close()
    return body


def run(port: int, every: Iterator[bytes], concurrency: int) -> list[float]:
    """Send them all, `concurrency` at a time; latencies in milliseconds."""
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        for request in islice(every, concurrency):
            caller = Caller(port)
            selector.register(caller.socket, selectors.EVENT_READ, caller)
            caller.send(request)
        while selector.get_map():
            ready = selector.select(TIMEOUT)
            if not ready:
                raise SystemExit(f"no answer within {TIMEOUT:g} s")
            for key, _ in ready:
                _go_on(selector, key.data, every, latencies)
    return latencies


def _go_on(selector: selectors.BaseSelector, caller: Caller, every: Iterator[bytes], latencies: list[float]) -> None:
    if caller.receive() is None:
        return
    now = time.perf_counter()
    latencies.append((now - caller.sent) * 1000)
    request = next(every, None)
    if request is None or caller.closing:
        selector.unregister(caller.socket)
        caller.socket.close()
    if request is None:
        return
    if caller.closing:
        caller.open()
        selector.register(caller.socket, selectors.EVENT_READ, caller)
    caller.send(request)
    caller.sent = now  # a new connection is part of what the caller waits for


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise SystemExit(f"expected a Content-Length, found {head[:200]!r}")


def _request(port: int, kind: str, picture: bytes) -> bytes:
    media, body = "image/jpeg", picture
    if kind == "json":
        table = {"columns": ["image"], "data": [base64.b64encode(picture).decode()]}
        media, body = "application/json", json.dumps({"input_data": table}).encode()
    head = (f"Host: 127.0.0.1:{port}", f"Content-Type: {media}", f"Content-Length: {len(body)}")
    return "\r\n".join(("POST /score HTTP/1.1", *head, "", "")).encode() + body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=("raw", "json"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--warm-up", type=int, default=8)
    args = parser.parse_args()
    prepared = requests(args.port, args.kind, args.folder)
    some = (prepared[at % len(prepared)] for at in range(args.warm_up + args.requests))
    run(args.port, islice(some, args.warm_up), args.concurrency)
    print("ready", flush=True)
    input()
    cpu, wall = time.process_time(), time.perf_counter()
    latencies = run(args.port, some, args.concurrency)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"latencies_ms": latencies, "wall_s": wall, "load_cpu_s": cpu}), flush=True)


if __name__ == "__main__":
    main()
