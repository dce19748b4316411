"""Strange requests on one connection to a server's process, and what must hold for every answer."""

from __future__ import annotations

import http.client
import json
from collections import Counter

import hypothesis

from tests.scoring.server import strange, versions
from tests.scoring.server.process import Process


def send(caller: Caller, examples: int) -> None:
    """As many as `examples`, each a new one; the same every time where hypothesis is told so."""

    @hypothesis.settings(
        max_examples=examples, deadline=None, suppress_health_check=list(hypothesis.HealthCheck), database=None
    )
    @hypothesis.given(strange.requests())
    def each(request: strange.Request) -> None:
        caller.check(request)

    each()


class Caller:
    """One connection, opened again when the server closes it."""

    def __init__(self, server: Process) -> None:
        self.server = server
        self.statuses: Counter[int] = Counter()
        self._connection = server.connect()

    def good(self) -> bool:
        status, body = self._ask("POST", "/score", versions.picture(), {"content-type": "image/png"})
        return status == 200 and len(json.loads(body)[0]["boxes"]) == 2

    def check(self, request: strange.Request) -> None:
        status, body = self._ask(request.method, request.path, request.body, request.headers)
        self.statuses[status] += 1
        assert 200 <= status < 500, body
        assert status != 422, "this server's own errors have no 422"
        assert b"Traceback" not in body
        if body and request.method != "HEAD":
            json.loads(body, parse_constant=_no_constant)  # every answer of these routes is JSON

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        for attempt in (1, 2):
            try:
                self._connection.request(method, path, body, headers)
                answer = self._connection.getresponse()
                return answer.status, answer.read()
            except (http.client.RemoteDisconnected, ConnectionError):  # it closed the one before, as it said
                self._connection.close()
                assert attempt == 1, "two connections in a row were closed without an answer"
        raise AssertionError


def _no_constant(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")
